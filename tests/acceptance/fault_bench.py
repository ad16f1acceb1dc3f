"""A gateway process before doubles of its own for every tier, so that what one fault leaves behind tells nothing of
another: breakers, kept connections and waits are an endpoint's.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.acceptance.conftest import ENVIRONMENT, KEY, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour, Received
from tests.doubles.openai_upstream import OpenAIUpstream

MODES = ("whole", "stream")
SPARE = "spare"
SPARE_MODEL = "org/spare-70b"
PROMPT_PRICE, ANSWER_PRICE = 1, 2
SPARE_PROMPT_PRICE, SPARE_ANSWER_PRICE = 10, 20
HELLO: Any = [{"role": "user", "content": "hello"}]
GREETING = "Grüße 🙂 from the upstream, in answer to: hello"
PROMPT_TOKENS_MAX = 100
"""More than any of these prompts has, by anybody's count, template included."""
WORDS = 60
LONG = " ".join(f"w{number}" for number in range(WORDS))
"""An answer of sixty tokens, each told from the others."""
TIMEOUTS = {"connect": "1s", "headers": "3s", "idle": "3s", "total": "15s"}
"""Long enough that none of them ends what is not their test's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """How a fault's tiers are set up: one for whole answers, one for streams."""

    endpoints: int = 1
    lonely: bool = False
    """Whether there is no tier to fall back to."""
    settings: Mapping[str, Any]
    """Settings of the tier, in place of its defaults."""


class Asked:
    """One answer as the caller saw it: of whichever form, and how long it took."""

    def __init__(self, *, stream: bool, status: int, headers: Mapping[str, str], body: str, seconds: float) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.seconds = seconds
        self._streamed = stream and headers.get("content-type", "").startswith("text/event-stream")

    @property
    def end(self) -> str:
        """The last of the body, for messages."""
        return self.body[-400:]

    @property
    def tier(self) -> str:
        """Who served, by the header."""
        return self.headers["x-tiergate-tier"]

    @property
    def reason(self) -> str:
        """Why that tier, by the header."""
        return self.headers["x-tiergate-reason"]

    @cached_property
    def events(self) -> list[Any]:
        """A stream's events but for its end mark; the only one of a whole answer is its body."""
        if not self._streamed:
            return [json.loads(self.body)]
        data = [line.removeprefix("data: ") for line in self.body.split("\n") if line.startswith("data: ")]
        return [json.loads(one) for one in data if one != "[DONE]"]

    @property
    def choices(self) -> list[Any]:
        """Every choice of every event."""
        return [choice for event in self.events for choice in event.get("choices", [])]

    @property
    def text(self) -> str:
        """What the model said."""
        said = [choice["delta" if self._streamed else "message"].get("content") or "" for choice in self.choices]
        return "".join(said)

    @property
    def usage(self) -> Any:  # noqa: ANN401 -- JSON
        """The usage; fails where there is not exactly one."""
        (usage,) = [event["usage"] for event in self.events if event.get("usage")]
        return usage

    @property
    def error(self) -> Any:  # noqa: ANN401 -- JSON
        """The error: the body, or a stream's last event; fails where it is not OpenAI's envelope."""
        error = self.events[-1]["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error

    def check_good(self, text: str = GREETING, *, finish: str = "stop") -> None:
        """It is the whole answer ``text``: one finish reason, one usage, one end."""
        assert self.status == HTTPStatus.OK, self.end
        assert not any("error" in event for event in self.events), self.end
        assert self.text == text
        assert [one["finish_reason"] for one in self.choices if one["finish_reason"]] == [finish]
        assert self.usage["completion_tokens"] == len(text.split())
        assert self.usage["prompt_tokens"] > 0
        assert len({event["id"] for event in self.events}) == 1
        if self._streamed:
            assert self.body.count("[DONE]") == 1
            assert self.body.endswith("data: [DONE]\n\n")

    def check_broken(self, code: str, *, begins: str = LONG) -> None:
        """It is a stream that ends with an error event and nothing that looks like an end."""
        assert self.status == HTTPStatus.OK
        assert self.error["code"] == code, self.end
        assert "[DONE]" not in self.body
        assert not any(one["finish_reason"] for one in self.choices)
        assert self.text
        assert begins.startswith(self.text)
        assert sum("error" in event for event in self.events) == 1

    def check_failed(self, status: int, code: str, *words: str) -> None:
        """It is an error before the first byte, in OpenAI's envelope, that holds ``words``."""
        assert (self.status, self.error["code"]) == (status, code), self.end
        assert self.headers["content-type"].startswith("application/json")
        for word in words:
            assert word in self.error["message"]


class FaultCase:
    """One fault in one mode: its tier, its endpoints, and the requests of one run."""

    def __init__(
        self,
        gateway: GatewayProcess,
        *,
        name: str,
        stream: bool,
        run: str,
        upstreams: Sequence[OpenAIUpstream],
        spare: OpenAIUpstream,
    ) -> None:
        self.gateway = gateway
        self.name = name
        self.stream = stream
        self.run = run
        self.upstreams = upstreams
        self.spare = spare

    @property
    def upstream(self) -> OpenAIUpstream:
        """The only endpoint."""
        (only,) = self.upstreams
        return only

    @property
    def posts(self) -> list[Received]:
        """Tries at the tier's own endpoints, in the order of time."""
        found = [post for upstream in self.upstreams for post in upstream.posts]
        return sorted(found, key=lambda post: post.received_at)

    @property
    def spare_posts(self) -> list[Received]:
        """Tries at the spare tier."""
        return self.spare.posts

    def script(self, *behaviours: Behaviour) -> None:
        """What happens next, at whichever of the tier's endpoints."""
        self.upstreams[0].script(*behaviours)

    def always(self, behaviour: Behaviour) -> None:
        """What happens from now on at all of them."""
        for upstream in self.upstreams:
            upstream.default = behaviour

    def ask(self, **more: object) -> Asked:
        """One request, over a connection of its own; ``more`` are fields of its body."""
        body: dict[str, Any] = {"model": self.name, "messages": HELLO, "stream": self.stream, **more}
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        started = time.monotonic()
        answer = self.gateway.call("POST", "/v1/chat/completions", body, headers={"x-tiergate-run": self.run})
        return Asked(
            stream=self.stream,
            status=answer.status,
            headers=answer.headers,
            body=answer.body.decode(),
            seconds=time.monotonic() - started,
        )

    @contextmanager
    def sdk(self) -> Iterator[OpenAI]:
        """OpenAI's SDK, without tries of its own."""
        headers = {"x-tiergate-run": self.run}
        with OpenAI(base_url=self.gateway.url, api_key=KEY, default_headers=headers, max_retries=0) as opened:
            yield opened

    def record(self) -> dict[str, Any]:
        """What was recorded of the run's only request, once nothing is held back for it any more.

        The budget settled what it says, and its cost is the sum of its charges: each of who did the work.
        """
        record = self.gateway.record(run=self.run)
        assert self.gateway.nothing_held("money", owner=self.run)["settled"] == record["cost_microdollars"]
        assert record["cost_microdollars"] == sum(charge["cost_microdollars"] for charge in record["charges"])
        return record

    def check_served(self, asked: Asked, *, by: str, reason: str, owed: bool = False) -> dict[str, Any]:
        """Header and record say who served and why, and the usage is theirs; returns the record.

        Only who served is paid. ``owed``: but for the prompts of failed tries that their endpoint may have worked on,
        since it took them and did not answer with an error.
        """
        record = self.record()
        assert (asked.tier, asked.reason) == (by, reason)
        assert (record["tier"], record["reason"], record["outcome"]) == (by, reason, "ok")
        assert record["endpoint"] == asked.headers["x-tiergate-endpoint"]
        counts = (record["input_tokens"], record["output_tokens"])
        assert counts == (asked.usage["prompt_tokens"], asked.usage["completion_tokens"])
        assert record["usage_reported"] is True
        prompt, answer = (SPARE_PROMPT_PRICE, SPARE_ANSWER_PRICE) if by == SPARE else (PROMPT_PRICE, ANSWER_PRICE)
        *failed, served = record["charges"]
        assert (served["tier"], served["endpoint"]) == (by, record["endpoint"])
        assert served["cost_microdollars"] == counts[0] * prompt + counts[1] * answer
        if owed:
            check_prompts_alone(failed, tier=self.name)
        else:
            assert failed == []
            assert self.gateway.nothing_held("tokens", owner=self.run)["settled"] == sum(counts)
        return record


def check_prompts_alone(charges: Sequence[Mapping[str, Any]], *, tier: str) -> None:
    """They are of tries at ``tier`` that brought nothing: no more than what such a short prompt costs."""
    for charge in charges:
        assert charge["tier"] == tier
        assert charge["cost_microdollars"] <= PROMPT_TOKENS_MAX * PROMPT_PRICE


class FaultBench:
    """The gateway and its doubles; use ``running``."""

    def __init__(
        self, gateway: GatewayProcess, upstreams: Mapping[str, Sequence[OpenAIUpstream]], spare: OpenAIUpstream
    ) -> None:
        self.gateway = gateway
        self._upstreams = upstreams
        self._spare = spare

    def case(self, fault: str, *, stream: bool, run: str) -> FaultCase:
        """A fault's tier in one mode, its doubles as at first."""
        name = f"{fault}-{MODES[stream]}"
        for upstream in (*self._upstreams[name], self._spare):
            upstream.forget()
        return FaultCase(
            self.gateway,
            name=name,
            stream=stream,
            run=run,
            upstreams=self._upstreams[name],
            spare=self._spare,
        )

    def check_well(self) -> None:
        """The gateway lives and serves."""
        self._spare.forget()
        answer = self.gateway.call("POST", "/v1/chat/completions", {"model": SPARE, "messages": HELLO})
        assert answer.status == HTTPStatus.OK


@contextmanager
def running(faults: Mapping[str, Faulty], directory: Path, python: str) -> Iterator[FaultBench]:
    """A gateway with two tiers and their doubles for each of ``faults``, and one spare tier that is well."""
    with ExitStack() as stack:
        spare = stack.enter_context(OpenAIUpstream(models=(SPARE_MODEL,), api_key=UPSTREAM_KEY).in_thread())
        price = {"input": SPARE_PROMPT_PRICE, "output": SPARE_ANSWER_PRICE}
        tiers = {SPARE: tier(spare.url, SPARE_MODEL, price=price, context=65_536, timeouts=TIMEOUTS)}
        upstreams: dict[str, list[OpenAIUpstream]] = {}
        for name, faulty in ((f"{fault}-{mode}", faulty) for fault, faulty in faults.items() for mode in MODES):
            doubles: list[OpenAIUpstream] = []
            for _ in range(faulty.endpoints):
                beside = doubles[0] if doubles else None
                double = OpenAIUpstream(models=(f"org/{name}",), api_key=UPSTREAM_KEY, beside=beside)
                doubles.append(stack.enter_context(double.in_thread()))
            upstreams[name] = doubles
            tiers[name] = _tier(name, faulty, doubles)
        budgets = [
            {"name": "money", "owner": {"run": "*"}, "limit": "1 USD", "window": "30d"},
            {"name": "tokens", "owner": {"run": "*"}, "limit": "1M tokens", "window": "30d"},
            {"name": "tier-money", "owner": {"tier": "*"}, "limit": "10 USD", "window": "30d"},
        ]
        process = GatewayProcess(
            directory, tier_map(tiers, budgets=budgets), key=KEY, python=python, environment=ENVIRONMENT
        )
        yield FaultBench(stack.enter_context(process), upstreams, spare)


def _tier(name: str, faulty: Faulty, doubles: Sequence[OpenAIUpstream]) -> dict[str, Any]:
    described = tier(doubles[0].url, f"org/{name}")
    described["endpoints"] = [{"url": double.url, "api_key": "env:TEST_UPSTREAM_KEY"} for double in doubles]
    described["fallback"] = [] if faulty.lonely else [SPARE]
    settings = dict(faulty.settings)
    described["timeouts"] = {**TIMEOUTS, **settings.pop("timeouts", {})}
    return {**described, **settings}
