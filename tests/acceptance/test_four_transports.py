"""The same answers over all four transports: a caller cannot tell how the gateway spoke to the endpoint.

Behind every one of them is the emulator's generator with one seed, for which the same request means the same bytes.
A queue endpoint is called in both of its ways: one that is warm over its OpenAI route, one that is cold as a job; for
that every test has cold endpoints of its own.
"""

import itertools
from collections.abc import Iterator
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any, Literal

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.acceptance.conftest import KEY
from tests.acceptance.emulated_system import direct, emulated_tier, gateway_before
from tests.acceptance.emulator_process import CONTEXT, MODEL, EmulatedEndpoint, EmulatorProcess
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = pytest.mark.acceptance

SPEED = 10.0
BOUND = 100
"""Tokens of an answer: more than the generator says, and so few that no worker takes as long as the edge allows."""
WAYS = ("openai", "route", "job", "balancer")
TRANSPORT = {"route": "runpod-queue", "job": "runpod-queue", "balancer": "runpod-load-balancer"}
COLD_ENDPOINTS = 12
"""At least as many as there are calls that are to go as jobs."""
ASKED: Any = [{"role": "user", "content": "Wie weit ist es nach 東京? 🙂"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}
VERDICT: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "schema": {
            "type": "object",
            "properties": {"label": {"type": "string"}, "score": {"type": "number"}},
            "required": ["label", "score"],
        },
    },
}
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"messages": ASKED, "max_tokens": BOUND},
    "cut": {"messages": ASKED, "max_tokens": 3},
    "tools": {"messages": ASKED, "tools": [WEATHER], "tool_choice": "auto", "max_tokens": BOUND},
    "schema": {"messages": ASKED, "response_format": VERDICT, "max_tokens": BOUND},
}
TOO_LONG: Any = [{"role": "user", "content": "far " * CONTEXT * 2}]
LITELLM = find_spec("litellm") is not None
needs_litellm = pytest.mark.skipif(not LITELLM, reason="LiteLLM is not installed")
each_way = pytest.mark.parametrize("way", [*WAYS, pytest.param("litellm", marks=needs_litellm)])
Way = Literal["openai", "route", "job", "balancer", "litellm"]


class Verdict(BaseModel):
    """What the model is to answer."""

    label: str
    score: float


class System:
    """The gateway before the emulator, with a tier for each way."""

    def __init__(self, emulator: EmulatorProcess, engine: EmulatedEndpoint) -> None:
        self.emulator = emulator
        self.engine = engine
        self.gateway: GatewayProcess
        self._cold = itertools.count()

    def tier(self, way: str, *, wrong: bool = False) -> str:
        """The tier that is served in that way; a cold one that nobody has asked yet where it is to be a job.

        ``wrong``: the one whose model its endpoint does not have.
        """
        if way == "route" and not wrong:
            # A worker that has proved nothing for a minute of Runpod's is asked by a job.
            body = {"model": way, "messages": ASKED, "max_tokens": BOUND}
            assert self.gateway.call("POST", "/v1/chat/completions", body).status == HTTPStatus.OK
        name = f"job-{next(self._cold)}" if way == "job" and not wrong else way
        return f"{name}-wrong" if wrong else name

    def said(self, request: str) -> Any:  # noqa: ANN401 -- JSON
        """What the engine says to a request without a gateway in between."""
        return direct(self.engine, self.emulator, {"model": MODEL, **REQUESTS[request]})


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("transports")
    with EmulatorProcess(directory, python=gateway_python, speed=SPEED) as emulator:
        emulator.quota(200)
        engine = emulator.endpoint("engine", "LOAD_BALANCER")
        balancer = emulator.endpoint("balancer", "LOAD_BALANCER")
        queue = emulator.endpoint("queue", "QUEUE")
        for endpoint in (engine, balancer, queue):
            endpoint.warm()
        warm = {"openai": engine, "balancer": balancer, "route": queue} | ({"litellm": engine} if LITELLM else {})
        tiers = {way: emulated_tier(endpoint, TRANSPORT.get(way, way)) for way, endpoint in warm.items()}
        for number in range(COLD_ENDPOINTS):
            endpoint = emulator.endpoint(f"cold-{number}", "QUEUE")
            endpoint.mend()
            tiers[f"job-{number}"] = emulated_tier(endpoint, "runpod-queue")
        cold = emulator.endpoint("cold-wrong", "QUEUE")
        cold.mend()
        for way, endpoint in {**warm, "job": cold}.items():
            model = "openai/no-such-model" if way == "litellm" else "no-such-model"
            tiers[f"{way}-wrong"] = emulated_tier(endpoint, TRANSPORT.get(way, way)) | {"model": model}
        made = System(emulator, engine)
        with gateway_before(emulator, tiers, directory, gateway_python) as made.gateway:
            yield made


@pytest.fixture
def client(system: System, run: str) -> Iterator[OpenAI]:
    headers = {"x-tiergate-run": run}
    with OpenAI(base_url=system.gateway.url, api_key=KEY, max_retries=0, default_headers=headers) as opened:
        yield opened


def check_way(system: System, run: str, way: str) -> None:
    """That the run's only request went in that way, and was settled as the usage says."""
    record = system.gateway.record(run=run)
    if way in TRANSPORT:
        assert record["runpod"]["way"] == way
    assert record["outcome"] == "ok"
    assert record["usage_reported"] is True
    settled = system.gateway.nothing_held("money", owner=run)["settled"]
    assert settled == record["cost_microdollars"] == record["input_tokens"] + 2 * record["output_tokens"]


def told(choice: Any) -> tuple[str, list[tuple[str, str, str]], str]:  # noqa: ANN401 -- JSON
    """What one whole choice tells: its text, its calls of tools, its finish reason."""
    message = choice["message"]
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]
    return message.get("content") or "", calls, choice["finish_reason"]


@each_way
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_whole_answer_is_the_same_byte_for_byte(
    system: System, client: OpenAI, run: str, way: Way, request_name: str
) -> None:
    """Content, finish reason, calls of tools and usage are the engine's own, in whichever way it was asked."""
    expected = system.said(request_name)
    answer = client.chat.completions.create(model=system.tier(way), **REQUESTS[request_name]).to_dict()
    [choice], [wanted] = answer["choices"], expected["choices"]
    assert told(choice) == told(wanted)
    usage: Any = answer["usage"]
    assert {name: usage[name] for name in expected["usage"]} == expected["usage"]
    if way != "litellm":
        assert answer == expected
    check_way(system, run, way)


@each_way
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_stream_is_the_same_byte_for_byte(
    system: System, client: OpenAI, run: str, way: Way, request_name: str
) -> None:
    """Put together it is the whole answer; usage comes once."""
    expected = system.said(request_name)
    options: Any = {"include_usage": True}
    request = REQUESTS[request_name]
    with client.chat.completions.create(
        model=system.tier(way), stream=True, stream_options=options, **request
    ) as stream:
        chunks = [chunk.to_dict() for chunk in stream]
    assert put_together(chunks) == told(expected["choices"][0])
    [usage] = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert {name: usage[name] for name in expected["usage"]} == expected["usage"]
    check_way(system, run, way)


def put_together(chunks: list[Any]) -> tuple[str, list[tuple[str, str, str]], str]:
    """What a stream's choice tells."""
    text, finish, calls = "", "", dict[int, list[str]]()
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        delta = choice["delta"]
        text += delta.get("content") or ""
        for part in delta.get("tool_calls") or ():
            call = calls.setdefault(part["index"], [part.get("id", ""), part["function"].get("name", ""), ""])
            call[2] += part["function"].get("arguments") or ""
        finish += choice.get("finish_reason") or ""
    return text, [(call[0], call[1], call[2]) for call in calls.values()], finish


@each_way
def test_a_parsed_answer_is_the_same(system: System, client: OpenAI, way: Way) -> None:
    """The SDK's own structured output; a stream's is put together by the SDK."""
    wanted = client.chat.completions.parse(model="openai", messages=ASKED, response_format=Verdict)
    whole = client.chat.completions.parse(model=system.tier(way), messages=ASKED, response_format=Verdict)
    with client.chat.completions.stream(model=system.tier(way), messages=ASKED, response_format=Verdict) as events:
        streamed = events.get_final_completion()
    assert wanted.choices[0].message.parsed is not None
    assert whole.choices[0].message.parsed == wanted.choices[0].message.parsed
    assert streamed.choices[0].message.parsed == wanted.choices[0].message.parsed


@each_way
@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_the_same_error(system: System, client: OpenAI, way: Way, stream: bool) -> None:
    """Status, type and message are vLLM's, also where a job wraps them into a Python repr.

    LiteLLM keeps no provider's type: there it is OpenAI's word for a bad request.
    """
    seen = []
    for tier in ("openai", system.tier(way)):
        with pytest.raises(openai.BadRequestError, match="maximum context length is 4096 tokens") as caught:
            client.chat.completions.create(model=tier, messages=TOO_LONG, stream=stream)
        error: Any = caught.value.body
        kind = "BadRequestError" if way == "litellm" and error["type"] == "invalid_request_error" else error["type"]
        seen.append((caught.value.status_code, kind, error["message"]))
    assert seen[0] == seen[1]


@each_way
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_the_endpoint_does_not_have_is_the_same_error(
    system: System, client: OpenAI, way: Way, stream: bool
) -> None:
    """It is the operator's mistake: the caller learns that the endpoint refused, and no more."""
    seen = []
    for tier in ("openai-wrong", system.tier(way, wrong=True)):
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model=tier, messages=ASKED, stream=stream)
        seen.append((caught.value.status_code, caught.value.type, caught.value.code))
    assert seen[0] == seen[1]
