import pytest

from gateway.wire.retry_after import retry_after

NOW = 1_800_000_000.0
"""Fri, 15 Jan 2027 08:00:00 GMT."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({b"retry-after": b"7"}, 7),
        ({b"retry-after": b"0"}, 0),
        ({b"retry-after": b"1.5"}, 1.5),
        ({b"retry-after": b"Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
        ({b"retry-after": b"Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        ({b"retry-after-ms": b"250"}, 0.25),
        ({b"retry-after-ms": b"250.5", b"retry-after": b"9"}, 0.2505),
        ({b"retry-after-ms": b"soon", b"retry-after": b"9"}, 9),
        ({}, None),
        ({b"retry-after": b""}, None),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"1.x"}, None),
        ({b"retry-after": b"1e3"}, None),
        ({b"retry-after": b"inf"}, None),
        ({b"retry-after": b"9" * 400}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": b"Fri, 15 Jan 99999 08:00:30 GMT"}, None),
    ],
    ids=str,
)
def test_when_an_endpoint_wants_to_be_asked_again(headers: dict[bytes, bytes], seconds: float | None) -> None:
    """Seconds, milliseconds or a date; what is none of these says nothing."""
    assert retry_after([(b"x", b"y"), *headers.items()], NOW) == seconds
