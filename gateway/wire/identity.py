"""Who a caller says it is, in CrewAI's nouns, from the ``x-tiergate-*`` headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.errors import InvalidRequest
from gateway.wire.run_bounds import RunBounds, run_bounds_of

IDENTITY: Final = {
    b"x-tiergate-agent": "agent",
    b"x-tiergate-flow": "flow",
    b"x-tiergate-run": "run",
    b"x-tiergate-step": "step",
    b"x-tiergate-task": "task",
}
IDENTITY_CHARACTERS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls; empty where a header was not sent. ``bounds`` are its run's, ``None`` where it was sent none."""

    agent: str = ""
    flow: str = ""
    run: str = ""
    step: str = ""
    task: str = ""
    bounds: RunBounds | None = None


NOBODY: Final = Identity()


def identity_of(named: Mapping[bytes, bytes]) -> Identity:
    """Who sent these headers, by their names in lower case.

    Raises:
        InvalidRequest: See ``identity_value`` and ``run_bounds_of``.
    """
    bounds = run_bounds_of(named)
    sent = {field: identity_value(name, named[name]) for name, field in IDENTITY.items() if name in named}
    return Identity(bounds=bounds, **sent) if sent else NOBODY


def identity_value(name: bytes, raw: bytes) -> str:
    """One ``x-tiergate-*`` header's text, percent-decoded and stripped.

    Raises:
        InvalidRequest: It is longer than 256 characters or has characters that cannot be printed.
    """
    text = unquote_to_bytes(raw).decode("utf-8", "replace").strip()
    if len(text) > IDENTITY_CHARACTERS_MAX or not text.isprintable():
        raise InvalidRequest(
            f"The header {name.decode()} must be printable text of at most {IDENTITY_CHARACTERS_MAX} characters.",
            param=name.decode(),
        )
    return text
