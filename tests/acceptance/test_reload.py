"""A new tier map under full load: no request notices but those that are meant to."""

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ENVIRONMENT, KEY, NARROW_KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess
from tests.doubles.openai_behaviour import Behaviour
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.doubles.steady_load import SteadyLoad

pytestmark = pytest.mark.acceptance

ADMIN_KEY = "tg-admin-0b1f"
BODY: Any = {"model": "routing", "messages": [{"role": "user", "content": "hello"}]}
SECONDS = 20.0


@pytest.fixture
def upstreams() -> Iterator[tuple[OpenAIUpstream, OpenAIUpstream]]:
    default = Behaviour(tokens=6, pace_seconds=0.02)
    models = (ROUTING_MODEL, "org/other-8b")
    with (
        OpenAIUpstream(models=models, api_key=UPSTREAM_KEY, default=default).in_thread() as one,
        OpenAIUpstream(models=models, api_key=UPSTREAM_KEY, default=default).in_thread() as other,
    ):
        yield one, other


class Served:
    """A gateway under load whose tier map is rewritten."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway

    def state(self) -> dict[str, Any]:
        """What ``/readyz`` says of the tier map; the gateway is ready all the time."""
        answer = self.gateway.call("GET", "/readyz", key=None)
        assert answer.status == 200, answer
        shown: dict[str, Any] = answer.json()["tier_map"]
        return shown

    def becomes(self, description: Any, by: str) -> None:  # noqa: ANN401 - any JSON
        """Serve this map, told in one of the three ways; all processes do when it returns."""
        text = json.dumps(description)
        self.gateway.rewrite(text)
        wanted = hashlib.sha256(text.encode()).hexdigest()[:12]
        if by == "api":
            answer = self.reload()
            assert (answer.status, answer.json()["hash"]) == (200, wanted), answer
        elif by == "signal":
            os.kill(self.gateway.pid, signal.SIGHUP)
        self.gateway.wait_until(lambda: self.loaded()[-1:] == [wanted], seconds=SECONDS)
        shown = [self.state() for _ in range(4)]
        assert {(state["hash"], state["rejected"]) for state in shown} == {(wanted, None)}

    def refuses(self, text: str, *words: str) -> None:
        """Keep the last good map, and say why."""
        before = self.state()
        self.gateway.rewrite(text)
        answer = self.reload()
        assert answer.status == 422
        assert all(word in str(answer.json()["problems"]) for word in words), answer.json()
        shown = self.state()
        assert shown["rejected"]["since_unix"] > before["loaded_unix"]
        assert {**shown, "rejected": None} == {**before, "rejected": None}
        assert self.gateway.events("tier_map.rejected")[-1]["hash"] == shown["rejected"]["hash"]

    def loaded(self) -> list[str]:
        """The hashes of the maps that all processes have taken over."""
        return [event["hash"] for event in self.gateway.events("tier_map.loaded")]

    def retired(self) -> int:
        """How many generations have ended, over all processes."""
        return len(self.gateway.events("tier_map.retired"))

    def reload(self) -> Any:  # noqa: ANN401 - an answer
        """Ask for it as the admin."""
        return self.gateway.call("POST", "/tiergate/v1/tier-map/reload", key=ADMIN_KEY)

    def status(self, model: str = "routing", key: str = "") -> int:
        """Of one call."""
        return self.gateway.call("POST", "/v1/chat/completions", {**BODY, "model": model}, key=key).status


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_tier_map_that_is_rewritten_ten_times_under_load_fails_no_request(
    tmp_path: Path, gateway_python: str, upstreams: tuple[OpenAIUpstream, OpenAIUpstream], processes: str
) -> None:
    """Valid and invalid, a tier more and less, an endpoint moved, a key added and revoked: each takes effect."""
    one, other = upstreams
    base = tier_map({"routing": tier(one.url, ROUTING_MODEL)})
    narrow = {"name": "narrow", "key": "env:TEST_NARROW_KEY"}
    environment = {
        **ENVIRONMENT,
        "TIERGATE_PROCESSES": processes,
        "TIERGATE_ADMIN_KEY": "env:TEST_ADMIN_KEY",
        "TEST_ADMIN_KEY": ADMIN_KEY,
    }
    process = GatewayProcess(tmp_path, base, key=KEY, python=gateway_python, environment=environment)
    with process as gateway, SteadyLoad(gateway.port, KEY) as load:
        subject = Served(gateway)
        gateway.wait_until(lambda: load.tally.streams > 4, seconds=SECONDS)
        subject.refuses('{"version": 1, "tiers"', "brackets")
        wider = {"routing": base["tiers"]["routing"], "extra": tier(other.url, "org/other-8b")}
        subject.becomes({**base, "tiers": wider}, "file")
        assert subject.status("extra") == 200
        subject.becomes({**base, "keys": [*base["keys"], narrow]}, "signal")
        assert (subject.status("extra"), subject.status(key=NARROW_KEY)) == (404, 200)
        subject.refuses(json.dumps({**base, "keys": [{"name": "x", "key": "env:NOT_THERE"}]}), "env:NOT_THERE")
        subject.becomes(base, "api")
        assert subject.status(key=NARROW_KEY) == 401
        subject.refuses(json.dumps({**base, "store": "redis://127.0.0.1:1/0"}), "restart")
        moved = tier_map({"routing": tier(other.url, ROUTING_MODEL)})
        subject.becomes(moved, "api")
        gateway.wait_until(lambda: subject.retired() == 4 * int(processes), seconds=SECONDS)
        settled, streams = len(one.posts), load.tally.streams
        gateway.wait_until(lambda: load.tally.streams > streams + 8, seconds=SECONDS)
        assert len(one.posts) == settled, "the old endpoint gets nothing any more"
        subject.becomes(tier_map({"routing": tier(other.url, ROUTING_MODEL, slots=20)}), "signal")
        subject.refuses("", "tier")
        subject.becomes(base, "api")
        streams = load.tally.streams
        gateway.wait_until(lambda: load.tally.streams > streams + 4, seconds=SECONDS)
        text = gateway.call("GET", "/metrics", key=None).body.decode()
        assert "tiergate_tier_map_generation 7.0" in text
        assert "tiergate_tier_map_last_reload_successful 1.0" in text
        gateway.wait_until(lambda: subject.retired() == 6 * int(processes), seconds=SECONDS)
    assert load.tally.failures == []
    assert load.tally.answers > 100
    loaded = gateway.events("tier_map.loaded")
    assert [event["generation"] for event in loaded] == [2, 3, 4, 5, 6, 7]
    assert [event["cause"] for event in loaded] == ["file", "signal", "api", "api", "signal", "api"]
