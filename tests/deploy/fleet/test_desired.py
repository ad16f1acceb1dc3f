"""The fleet as bodies of create calls."""

import pytest

from deploy.fleet.desired import url_of
from tests.deploy.fleet.worlds import app, fleet, gpu, wanted
from tests.tiers.fleets import deployment
from tiers.fleet import RegistryLogin, Scaling, Volume
from tiers.vllm_environment import arguments, environment


def test_a_queue_endpoint_sends_every_field_whose_default_hurts() -> None:
    one = deployment(gpus=(gpu("RTX 4090"), gpu("L4"), gpu("RTX 3090")), gpu_count=2, workers_min=1)
    [made] = wanted(fleet(one))
    assert made.body == {
        "name": "acme-routing-0",
        "type": "QUEUE",
        "image": "runpod/worker-v1-vllm:v2.25.2",
        "gpu": {"pools": ["ADA_24", "AMPERE_24"], "count": 2, "minCudaVersion": "13.0"},
        "workers": {"min": 1, "max": 3, "idleTimeout": 10},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4.0},
        "timeout": 600_000,
        "flashboot": "FLASHBOOT",
        "env": environment(one),
        "args": "",
        "disk": 70,
        "ports": [],
        "dataCenterIds": [],
        "networkVolumes": [],
        "registry": None,
    }
    assert (made.key, made.workers_max) == ("routing/0", 3)
    assert (made.worker_hour, made.hour_max, made.idle_day) == (2_232_000, 6_696_000, 53_568_000)


def test_a_queue_that_scales_by_requests_takes_no_idle_timeout() -> None:
    [made] = wanted(fleet(deployment(scaling=Scaling(requests=8), flashboot="none")))
    assert made.body["workers"] == {"min": 0, "max": 3}
    assert made.body["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 8}
    assert made.body["flashboot"] == "OFF"


def test_vllm_behind_a_load_balancer_has_arguments_and_a_port() -> None:
    one = deployment(type="LOAD_BALANCER", scaling=Scaling(requests=30), timeout_seconds=330.0, flashboot="priority")
    [made] = wanted(fleet(one))
    assert (made.body["args"], made.body["ports"]) == (arguments(one), ["8000/http"])
    assert made.body["workers"]["idleTimeout"] == 10
    assert (made.body["timeout"], made.body["flashboot"]) == (330_000, "PRIORITY_FLASHBOOT")


def test_our_programs_run_on_cpus() -> None:
    apps = (app(env={"A": "b"}), app("batch", type="QUEUE"), app("gateway", port=9000, health_path="/healthz"))
    batch, gateway, orchestrator = wanted(fleet(apps=apps))[:3]
    assert batch.body["cpu"] == [{"id": "cpu3c", "vcpuCount": 4}]
    assert "gpu" not in batch.body
    assert (batch.body["env"], batch.body["ports"], batch.body["workers"]) == ({}, [], {"min": 0, "max": 2})
    assert gateway.body["env"] == {
        "HEALTH_CHECK_PATH": "/healthz",
        "PORT": "9000",
        "PORT_HEALTH": "9000",
        "TIERGATE_HOST": "0.0.0.0",
        "TIERGATE_PORT": "9000",
    }
    assert orchestrator.body["env"] == {
        "A": "b",
        "HEALTH_CHECK_PATH": "/ping",
        "PORT": "8000",
        "PORT_HEALTH": "8000",
    }
    assert orchestrator.body["ports"] == ["8000/http"]
    assert orchestrator.worker_hour == 120_000


def test_a_volume_ties_vllm_workers_to_its_place_and_a_login_is_everybodys() -> None:
    one = fleet(
        deployment(data_centers=("US",)),
        apps=(app(data_centers=("US",)),),
        volume=Volume(name="models", size_gb=50, data_center="EU"),
        registry=RegistryLogin(name="hub"),
    )
    orchestrator, routing = wanted(one)
    assert (routing.body["dataCenterIds"], routing.body["networkVolumes"]) == (["EU"], ["volume:models"])
    assert (orchestrator.body["dataCenterIds"], orchestrator.body["networkVolumes"]) == (["US"], [])
    assert routing.body["registry"] == orchestrator.body["registry"] == "registry:hub"


@pytest.mark.parametrize(
    ("key", "kind", "url"),
    [
        ("routing/0", "QUEUE", "https://a"),
        ("routing/0", "LOAD_BALANCER", "https://a/v1"),
        ("orchestrator", "LOAD_BALANCER", "https://a"),
    ],
)
def test_a_balanced_tier_is_called_under_v1(key: str, kind: str, url: str) -> None:
    assert url_of(key, kind, "https://a") == url  # type: ignore[arg-type]
