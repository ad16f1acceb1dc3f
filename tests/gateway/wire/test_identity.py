"""Who the caller says it is."""

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.identity import IDENTITY, NOBODY, Identity, identity_of, identity_value


def test_who_calls_is_read_from_the_headers_that_are_there() -> None:
    """And is nobody where there are none."""
    assert identity_of({b"host": b"a"}) is NOBODY
    sent = {b"x-tiergate-agent": b"writer", b"x-tiergate-run": b"r%201"}
    assert identity_of(sent) == Identity(agent="writer", run="r 1")


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
