"""What a URL says of a Runpod endpoint."""

import pytest

from tiers.runpod_urls import addressed, deployed_as, health_base
from tiers.tiermap import TransportKind

OWN = "https://api.runpod.ai/v2/abc123"


@pytest.mark.parametrize(
    ("url", "written", "called", "transport"),
    [
        (f"{OWN}/openai/v1", None, OWN, "runpod-queue"),
        (f"{OWN}/openai", None, OWN, "runpod-queue"),
        (OWN, None, OWN, "runpod-queue"),
        ("http://127.0.0.1:8090/v2/abc123/openai/v1", None, "http://127.0.0.1:8090/v2/abc123", "runpod-queue"),
        ("http://127.0.0.1:8090/v2/abc123", None, "http://127.0.0.1:8090/v2/abc123", "openai"),
        ("http://127.0.0.1:8090/v2/abc123", "runpod-queue", "http://127.0.0.1:8090/v2/abc123", "runpod-queue"),
        ("https://proxy/queue", "runpod-queue", "https://proxy/queue", "runpod-queue"),
        ("https://abc123.api.runpod.ai/v1", None, "https://abc123.api.runpod.ai/v1", "runpod-load-balancer"),
        (f"{OWN}/openai/v1", "openai", f"{OWN}/openai/v1", "openai"),
        ("https://api.openai.com/v1", None, "https://api.openai.com/v1", "openai"),
    ],
)
def test_the_transport_is_what_was_written_or_what_the_address_tells(
    url: str, written: TransportKind | None, called: str, transport: TransportKind
) -> None:
    """A queue endpoint is called at its own base, where its jobs and its health are, too."""
    assert addressed(url, written) == (called, transport)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (f"{OWN}/openai/v1", OWN),
        (OWN, OWN),
        ("http://127.0.0.1:8090/v2/abc123/openai/v1", "http://127.0.0.1:8090/v2/abc123"),
        ("https://abc123.api.runpod.ai/v1", OWN),
        ("http://127.0.0.1:8090/lb/abc123/v1", "http://127.0.0.1:8090/v2/abc123"),
        (f"{OWN}/openai", OWN),
        ("https://abc123.api.runpod.ai", OWN),
        ("https://abc123-8000.proxy.runpod.net/v1", None),
        ("https://api.openai.com/v1", None),
        ("https://api.runpod.ai.example/v1", None),
        ("http://127.0.0.1:9100/v1", None),
    ],
)
def test_runpods_health_address_is_known_from_the_endpoints(url: str, base: str | None) -> None:
    """No worker is woken by asking there."""
    assert health_base(url) == base


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("https://api.runpod.ai/v2/abc", "runpod-queue"),
        ("http://127.0.0.1:8090/v2/abc", "runpod-queue"),
        ("https://abc.api.runpod.ai/v1", "runpod-load-balancer"),
        ("http://127.0.0.1:8090/lb/abc/v1", "runpod-load-balancer"),
    ],
)
def test_what_is_there_tells_how_it_is_spoken_to(url: str, transport: str) -> None:
    assert deployed_as(url) == transport
