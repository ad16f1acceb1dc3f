"""Which transport an endpoint is called by."""

import pytest

from gateway.upstream.errands import Errands
from gateway.upstream.litellm_sdk import LiteLlm
from gateway.upstream.runpod_load_balancer import RunpodLoadBalancer
from gateway.upstream.runpod_queue import RunpodQueue
from gateway.upstream.runpod_times import RunpodTimes
from gateway.upstream.transports import Transports, directly
from tests.doubles.clock import ManualClock
from tests.doubles.transport import FakeTransport
from tests.doubles.warmth import ManualWarmth
from tests.gateway.samples import token_tier
from tests.gateway.upstream.litellm_installed import need_litellm
from tiers.tiermap import Endpoint

TRANSPORTS = Transports(clock=ManualClock(), times=RunpodTimes(), errands=Errands())


def test_an_endpoint_is_called_over_http_as_it_is_unless_told_otherwise() -> None:
    http = FakeTransport()
    endpoint = Endpoint(name="a/0", url="http://a.test/v1")
    for make in (TRANSPORTS, directly):
        assert make(endpoint, token_tier("a"), lambda *_: http, warmth=None, api_key=None) is http


def test_a_load_balancer_has_its_own() -> None:
    endpoint = Endpoint(name="a/0", url="https://a.api.runpod.ai/v1", transport="runpod-load-balancer")
    made = TRANSPORTS(endpoint, token_tier("a"), lambda *_: FakeTransport(), warmth=ManualWarmth(), api_key="k")
    assert isinstance(made, RunpodLoadBalancer)


def test_a_queue_has_its_own() -> None:
    endpoint = Endpoint(name="a/0", url="https://api.runpod.ai/v2/e", transport="runpod-queue")
    made = TRANSPORTS(endpoint, token_tier("a"), lambda *_: FakeTransport(), warmth=ManualWarmth(), api_key="k")
    assert isinstance(made, RunpodQueue)


def test_litellm_has_its_own_and_no_way_of_ours() -> None:
    need_litellm()
    endpoint = Endpoint(name="a/0", url="", transport="litellm")
    tier = token_tier("a", model="openai/gpt-4o-mini", endpoints=(endpoint,))
    made = TRANSPORTS(endpoint, tier, lambda *_: pytest.fail("no HTTP"), warmth=None, api_key="k")
    assert isinstance(made, LiteLlm)
