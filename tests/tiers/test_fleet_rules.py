"""What the fields of a deployment must agree on."""

import pytest

from tests.tiers.fleets import fleet_text
from tests.tiers.samples import changed, problems

LB = "transport: runpod-load-balancer"


@pytest.mark.parametrize(
    ("endpoint", "field", "message"),
    [
        ('{deploy: {}, url: "http://a/v1"}', "url", "has its url from Runpod"),
        ("{deploy: {}, transport: openai}", "transport", "openai is no endpoint of Runpod's"),
        ("{deploy: {gpus: [RTX 4090]}}", "deploy.gpus[0]", "RTX 4090 is the tier's own"),
        ("{deploy: {gpus: [L4, RTX A4000]}}", "deploy.gpus[1]", "which RTX A4000 does not hold"),
        ("{deploy: {queue_delay: 1s, requests: 2}}", "deploy.queue_delay", "scales by queue_delay and by requests"),
        (f"{{deploy: {{queue_delay: 1s}}, {LB}}}", "deploy.queue_delay", "a load balancer has no queue"),
        ("{deploy: {queue_delay: 100ms}}", "deploy.queue_delay", "shorter than Runpod takes"),
        ("{deploy: {requests: 2}, workers: {idle_timeout: 5s}}", "workers.idle_timeout", "takes no idle timeout"),
        ("{deploy: {}, workers: {idle_timeout: 2h}}", "workers.idle_timeout", "whole seconds from 1 to 3600"),
        ("{deploy: {}, workers: {idle_timeout: 500ms}}", "workers.idle_timeout", "whole seconds from 1 to 3600"),
        ("{deploy: {start_timeout: 1500ms}}", "deploy.start_timeout", "no whole number of seconds"),
        ("{deploy: {timeout: 1s}}", "deploy.timeout", "shorter than Runpod takes"),
        (f"{{deploy: {{timeout: 10m}}, {LB}}}", "deploy.timeout", "cuts a balanced request sooner"),
        ("{deploy: {workers_min: 4}}", "deploy.workers_min", "4 workers at least, and 3 at most"),
        ("{deploy: {sequences: 8}}", "deploy.sequences", "vLLM computes 8 at once, but a worker takes 30"),
        ("{deploy: {env: {HF_TOKEN: x}}}", "deploy.env.HF_TOKEN", "secret in clear text"),
        ("{deploy: {env: {MODEL_ID: x}}}", "deploy.env.MODEL_ID", "MODEL_ID is read by nothing"),
    ],
)
def test_an_endpoint_that_runpod_would_refuse_or_misunderstand(endpoint: str, field: str, message: str) -> None:
    [problem] = problems(fleet_text(endpoint))
    assert problem.field == f"tiers.routing.endpoints[0].{field}"
    assert message in problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    ("fleet", "field", "message"),
    [
        ("{env: {HUGGING_FACE_HUB_MODEL_ID: a}}", "env.HUGGING_FACE_HUB_MODEL_ID", "is read by nothing"),
        ("{secrets: {RUNPOD_x: env:A}}", "secrets.RUNPOD_x", "Runpod's own"),
        ("{registry: {name: a, username: env:A}}", "registry", "only one of username and password"),
        (
            "{data_centers: [US], volume: {name: a, size: 50, data_center: EU}}",
            "volume.data_center",
            "ties workers to EU, which is not among data_centers",
        ),
        ("{batch: {image: a:1, vcpus: 2, disk: 21}}", "batch.disk", "at most 20 GB"),
        ("{batch: {image: a:1, workers_min: 3}}", "batch.workers_min", "3 workers at least, and 2 at most"),
        ("{batch: {image: a:1, idle_timeout: 2h}}", "batch.idle_timeout", "whole seconds"),
        ("{gateway: {image: a:1, timeout: 6m}}", "gateway.timeout", "cuts a balanced request sooner"),
        ("{gateway: {image: a:1, env: {PORT: '1'}}}", "gateway.env.PORT", "made of port and health_path"),
        ("{gateway: {image: a:1, env: {A_KEY: abc}}}", "gateway.env.A_KEY", "secret in clear text"),
    ],
)
def test_a_fleet_that_runpod_would_refuse(fleet: str, field: str, message: str) -> None:
    [problem] = problems(fleet_text("{deploy: {}}", fleet))
    assert problem.field == f"fleet.{field}"
    assert message in problem.message


def test_what_agrees_is_fine() -> None:
    fleet = (
        "{data_centers: [EU], volume: {name: a, size: 50, data_center: EU}, registry: {name: a},"
        " gateway: {image: a:1, cpu: cpu5c, disk: 60, env: {TIERGATE_TIERS: /etc/tiers.yaml}}}"
    )
    assert problems(fleet_text("{deploy: {gpus: [L4], sequences: 30, timeout: 5s, queue_delay: 500ms}}", fleet)) == ()
    assert problems(fleet_text(f"{{deploy: {{requests: 2, timeout: 330s}}, {LB}}}")) == ()


def test_a_tier_that_is_paid_by_token_has_nothing_to_deploy_on() -> None:
    text = changed('{url: "https://api.openai.com/v1", api_key: file:/run/secrets/openai}', "{deploy: {gpus: [L4]}}")
    [problem] = problems(text)
    assert (problem.field, problem.message) == (
        "tiers.external.endpoints[0].deploy",
        "the tier says no gpu to deploy on",
    )
