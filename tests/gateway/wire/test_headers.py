"""Which headers pass, and who the caller says it is."""

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.headers import IDENTITY, identity_value, to_client, to_upstream


def test_an_endpoint_sees_only_what_is_on_the_list() -> None:
    """The caller's key, cookies and names stay at the gateway; traces and Anthropic's version pass."""
    passing = [
        (b"content-type", b"application/json"),
        (b"accept", b"*/*"),
        (b"user-agent", b"x"),
        (b"traceparent", b"00-1"),
        (b"anthropic-version", b"2023-06-01"),
    ]
    staying = [
        (b"authorization", b"Bearer secret"),
        (b"x-api-key", b"secret"),
        (b"cookie", b"a=b"),
        (b"host", b"gateway"),
        (b"content-length", b"9"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"keep-alive"),
        (b"x-tiergate-agent", b"writer"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"accept-encoding", b"gzip"),
    ]
    assert to_upstream([*staying, *passing]) == [*passing, (b"accept-encoding", b"identity")]


def test_a_caller_does_not_see_what_is_of_one_hop_or_of_the_endpoints_host() -> None:
    """All else passes, twice if it came twice."""
    passing = [(b"content-type", b"text/event-stream"), (b"x-a", b"1"), (b"x-a", b"2"), (b"retry-after", b"3")]
    staying = [
        (b"content-length", b"9"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
        (b"keep-alive", b"timeout=5"),
        (b"server", b"uvicorn"),
        (b"date", b"today"),
        (b"set-cookie", b"a=b"),
        (b"www-authenticate", b"Bearer"),
        (b"x-request-id", b"theirs"),
        (b"x-tiergate-tier", b"forged"),
    ]
    assert to_client([*staying, *passing]) == passing


def test_identity_headers_name_crewais_nouns() -> None:
    """Agent, flow, run, step and task."""
    assert set(IDENTITY.values()) == {"agent", "flow", "run", "step", "task"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"writer", "writer"),
        (b"  Senior Writer ", "Senior Writer"),
        (b"R%C3%A9dacteur%20%F0%9F%A4%96", "Rédacteur 🤖"),
        ("Rédacteur".encode(), "Rédacteur"),
        (b"", ""),
        (b"100%", "100%"),
        (b"a" * 256, "a" * 256),
    ],
)
def test_a_name_is_percent_decoded_and_stripped(raw: bytes, text: str) -> None:
    """Headers carry ASCII only, agents have names in every script."""
    assert identity_value(b"x-tiergate-agent", raw) == text


@pytest.mark.parametrize("raw", [b"a" * 257, b"a%0Ab", b"a%00", b"a\x7fb", b"%E2%80%AE"])
def test_a_name_that_would_spoil_a_log_is_refused(raw: bytes) -> None:
    """Too long, or with characters that cannot be printed."""
    with pytest.raises(InvalidRequest, match="x-tiergate-agent") as caught:
        identity_value(b"x-tiergate-agent", raw)
    assert caught.value.param == "x-tiergate-agent"
