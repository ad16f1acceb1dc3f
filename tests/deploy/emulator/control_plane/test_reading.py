from typing import Any

import httpx
import pytest

from deploy.emulator.control_plane import reading
from deploy.emulator.control_plane.bodies import EndpointBody
from deploy.emulator.control_plane.problems import Problem
from deploy.emulator.control_plane.reading import validated
from tests.deploy.emulator.control_plane.document import document, needs_document
from tests.deploy.emulator.control_plane.rig import BALANCED, QUEUE

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"bogus": 1}, "$: additional properties 'bogus' not allowed"),
    ({"gpu": {"pools": ["ADA_24"], "cards": []}}, "$.gpu: additional properties 'cards' not allowed"),
    ({"gpu": {}}, "$.gpu: missing property 'pools'"),
    ({"gpu": None}, "$.gpu: got null, want object"),
    ({"gpu": {"pools": []}}, "$.gpu.pools: minItems: got 0, want 1"),
    ({"gpu": {"pools": "ADA_24"}}, "$.gpu.pools: got string, want array"),
    ({"gpu": {"pools": ["ADA_24"], "count": 0}}, "$.gpu.count: minimum: got 0, want 1"),
    (
        {"gpu": {"pools": ["ADA_24"], "minCudaVersion": "13"}},
        r"$.gpu.minCudaVersion: '13' does not match pattern '^\d+\.\d+$'",
    ),
    ({"gpu": {"pools": ["ADA_24"], "excludedTypes": ["a", "a"]}}, "$.gpu.excludedTypes: items at 0 and 1 are equal"),
    ({"name": ""}, "$.name: minLength: got 0, want 1"),
    ({"name": 7}, "$.name: got number, want string"),
    ({"type": "QB"}, "$.type: value must be one of 'QUEUE', 'LOAD_BALANCER'"),
    ({"workers": {"idleTimeout": 3601}}, "$.workers.idleTimeout: maximum: got 3601, want 3600"),
    ({"workers": {"max": 1.5}}, "$.workers.max: got number, want integer"),
    ({"workers": {"max": True}}, "$.workers.max: got boolean, want integer"),
    ({"scaling": {"type": "QUEUE_DELAY"}}, "$.scaling: missing property 'queueDelay'"),
    ({"scaling": {"queueDelay": 4}}, "$.scaling: missing property 'type'"),
    ({"scaling": {"type": "MAGIC"}}, "$.scaling: value must be one of 'QUEUE_DELAY', 'REQUEST_COUNT'"),
    ({"env": {"A": 1}}, "$.env.A: got number, want string"),
    ({"ports": [8000]}, "$.ports[0]: got number, want string"),
    ({"disk": []}, "$.disk: got array, want integer"),
    ({"flashboot": True}, "$.flashboot: value must be one of 'OFF', 'FLASHBOOT', 'PRIORITY_FLASHBOOT'"),
]
CPU_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"cpu": [{"id": "cpu3c", "vcpuCount": 1}]}, "$.cpu[0].vcpuCount: minimum: got 1, want 2"),
    ({"cpu": [{"id": "cpu3c", "vcpuCount": 2}] * 2}, "$.cpu: items at 0 and 1 are equal"),
    (
        {"cpu": [{"id": "cpu3c", "vcpuCount": 2, "minCudaVersion": "13.0"}]},
        "$.cpu[0]: additional properties 'minCudaVersion' not allowed",
    ),
]


@pytest.mark.parametrize(
    ("body", "said"),
    [(QUEUE | wrong, said) for wrong, said in WRONG] + [(BALANCED | wrong, said) for wrong, said in CPU_WRONG],
)
async def test_each_thing_that_is_wrong_has_its_line(api: httpx.AsyncClient, body: dict[str, Any], said: str) -> None:
    answer = await api.post("/v2/serverless", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["title"], problem["detail"]) == ("Unprocessable Entity", "Request validation failed.")
    assert said in problem["errors"]


@needs_document
@pytest.mark.parametrize("body", [QUEUE | wrong for wrong, _ in WRONG] + [BALANCED | wrong for wrong, _ in CPU_WRONG])
def test_the_document_refuses_the_same(body: dict[str, Any]) -> None:
    assert not document().allows_body("POST", "/v2/serverless", body)


async def test_an_unfit_scaler_is_told_with_noise_around_the_useful_line(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v2/serverless", json=QUEUE | {"scaling": {"type": "QUEUE_DELAY", "requestCount": 1}})
    assert answer.json()["errors"] == [
        "$.scaling: 'oneOf' failed, none matched",
        "$.scaling: missing property 'queueDelay'",
        "$.scaling: additional properties 'requestCount' not allowed",
    ]


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(Problem) as caught:
        validated(b"{}", EndpointBody)
    assert caught.value.errors == (
        "$: missing property 'name'",
        "$.scaling: 'oneOf' failed, none matched",
        "$: missing property 'scaling'",
        "$: missing property 'type'",
    )


def test_an_image_is_needed_where_no_template_gives_one() -> None:
    with pytest.raises(Problem) as caught:
        validated(
            b'{"name": "n", "type": "QUEUE", "scaling": {"type": "REQUEST_COUNT", "requestCount": 1}}', EndpointBody
        )
    assert caught.value.errors == ("$: missing property 'image'",)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
async def test_what_is_not_json_is_a_400(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await api.post("/v2/serverless", content=content)
    assert (answer.status_code, answer.json()["detail"]) == (400, "request body is not valid JSON")


async def test_a_list_is_not_an_object(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v2/serverless", json=[])
    assert (answer.status_code, answer.json()["errors"]) == (422, ["$: got array, want object"])


async def test_a_body_has_a_longest_length(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_BYTES_MAX", 100)
    answer = await api.post("/v2/serverless", content=b" " * 101)
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
