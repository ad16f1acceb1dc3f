"""Which headers pass."""

from gateway.wire.headers import to_client, to_upstream


def test_an_endpoint_sees_only_what_is_on_the_list() -> None:
    """The caller's key, cookies and names stay here; traces, Anthropic's version and a wish for a worker pass."""
    passing = [
        (b"content-type", b"application/json"),
        (b"accept", b"*/*"),
        (b"user-agent", b"x"),
        (b"traceparent", b"00-1"),
        (b"anthropic-version", b"2023-06-01"),
        (b"x-runpod-worker-id", b"strict w1"),
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
