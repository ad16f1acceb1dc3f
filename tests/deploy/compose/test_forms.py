"""The compose file and the workflows, by the forms that Docker and GitHub publish, and by a judge of workflows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy/compose/compose.yaml"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent


def run(tool: str, *arguments: str | Path) -> None:
    """Nothing is found."""
    if not (TOOLS / tool).exists():
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([TOOLS / tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def services() -> dict[str, Any]:
    """Of the compose file, by name; anchors are followed."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def test_the_compose_file_has_its_form() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_workflows_have_their_form() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_workflows_leak_nothing_and_take_actions_by_digest() -> None:
    run("zizmor", "--offline", "--no-progress", *WORKFLOWS)


def test_a_chart_takes_its_own_values() -> None:
    chart = ROOT / "deploy/helm/tiergate"
    run("check-jsonschema", "--check-metaschema", chart / "values.schema.json")
    run("check-jsonschema", "--schemafile", chart / "values.schema.json", chart / "values.yaml")


@pytest.mark.parametrize("name", services())
def test_a_container_has_no_rights_and_is_open_to_this_machine_alone(name: str) -> None:
    service = services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_file_that_is_mounted_or_built_is_there() -> None:
    """But what whoever starts it writes before: the tier map, rules and dashboards."""
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            written = source == "./tiers" or source.startswith("./monitoring/")
            assert not source.startswith(".") or written or (COMPOSE.parent / source).exists(), source
        if "build" in service:
            assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_the_emulator_is_there_when_asked_for_under_the_name_that_its_image_listens_at() -> None:
    """The name is in the addresses of the endpoints that it makes: with another one nobody could call them."""
    emulator = services()["emulator"]
    assert emulator["profiles"] == ["emulator"]
    image = (COMPOSE.parent / emulator["build"]["context"] / emulator["build"]["dockerfile"]).read_text("utf-8")
    words = json.loads(image.rpartition("CMD ")[2])
    assert words[words.index("--host") + 1] == emulator["hostname"] == "emulator"
    assert all("emulator" not in service.get("depends_on", {}) for service in services().values())
