"""The chart, rendered by Helm, or by the same templates' engine where Go and Debian's sprig are installed instead."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy/helm/tiergate"
SPRIG = Path("/usr/share/gocode/src/github.com/Masterminds/sprig")
KUBERNETES = "1.27"
"""The oldest that the chart says it is for."""

Render = Callable[[Mapping[str, Any]], subprocess.CompletedProcess[str]]
SMALL = {"tierMap": "version: 1\n", "store": "redis://store:6379/0"}
WHOLE = {
    **SMALL,
    "image": {"tag": "@sha256:abc", "pullSecrets": [{"name": "registry"}]},
    "gateway": {
        "autoscaling": {"enabled": True},
        "annotations": {"note": "x"},
        "nodeSelector": {"pool": "cpu"},
        "tolerations": [{"key": "cpu", "operator": "Exists"}],
        "extraArguments": ["--admin-key=env:ADMIN"],
    },
    "orchestrator": {"enabled": True, "flows": ["my_flows.flow:MyFlow"], "runs": "redis://store:6379/1"},
    "networkPolicy": {"enabled": True, "from": [{"podSelector": {"matchLabels": {"app": "agent"}}}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command's beginning: a chart's folder, a name and files of values follow."""
    if helm := shutil.which("helm"):
        return [helm, "template"]
    go = shutil.which("go")
    if go is None or not SPRIG.is_dir():
        pytest.skip("neither Helm is installed, nor golang-go and golang-github-masterminds-sprig-dev of Debian")
    built = tmp_path_factory.mktemp("render") / "render"
    subprocess.run(
        [go, "build", "-o", built, Path(__file__).with_name("render.go")],
        check=True,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"},
    )
    return [str(built)]


@pytest.fixture
def render(renderer: list[str], tmp_path: Path) -> Render:
    """Renders with some values."""

    def rendered(values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        asked = ["-f", str(file)] if renderer[-1] == "template" else [str(file)]
        name = ["demo", str(CHART)] if renderer[-1] == "template" else [str(CHART), "demo"]
        return subprocess.run([*renderer, *name, *asked], capture_output=True, text=True, check=False)

    return rendered


def objects(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What was rendered, by kind and name."""
    assert done.returncode == 0, done.stderr
    found = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def test_what_is_rendered(render: Render) -> None:
    assert set(objects(render(SMALL))) == {
        "Deployment/demo-gateway", "Service/demo-gateway", "PodDisruptionBudget/demo-gateway", "ConfigMap/demo-tiers",
    }  # fmt: skip
    assert set(objects(render(WHOLE))) == {
        "Deployment/demo-gateway", "Service/demo-gateway", "PodDisruptionBudget/demo-gateway", "ConfigMap/demo-tiers",
        "HorizontalPodAutoscaler/demo-gateway", "NetworkPolicy/demo-gateway", "ServiceMonitor/demo-gateway",
        "ServiceMonitor/demo-orchestrator", "Deployment/demo-orchestrator", "Service/demo-orchestrator",
    }  # fmt: skip


def test_kubernetes_would_take_all_of_it(render: Render) -> None:
    """By the schemas of its own API, no field beside; what an operator adds to Kubernetes it does not know."""
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for each in objects(render(WHOLE)).values():
        if each["kind"] != "ServiceMonitor":
            validate.validate(each, KUBERNETES, strict=True)


def test_pods_may_do_nothing_beside_their_work(render: Render) -> None:
    for name, each in objects(render(WHOLE)).items():
        if name.startswith("Deployment/"):
            pod = each["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert not pod["automountServiceAccountToken"]
            for container in pod["containers"]:
                assert container["securityContext"]["readOnlyRootFilesystem"]
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_pod_has_the_time_to_drain(render: Render) -> None:
    gateway = objects(render(SMALL))["Deployment/demo-gateway"]["spec"]["template"]["spec"]
    assert gateway["terminationGracePeriodSeconds"] > 10 + 60


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({}, "set tierMap"),
        ({"tierMap": "version: 1\n"}, "set store"),
        ({**SMALL, "orchestrator": {"enabled": True}}, "name what is served"),
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(render: Render, values: dict[str, Any], remedy: str) -> None:
    done = render(values)
    assert done.returncode != 0
    assert remedy in done.stderr
