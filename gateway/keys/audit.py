"""The audit log's entries, each of which holds the digest of the one before: one that is missing shows."""

import hmac
from collections.abc import Sequence
from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change."""

    number: int
    """1 for the first ever."""
    unix: float
    by: str
    """``admin``, or a key's id."""
    source: str
    """The client's address."""
    what: str
    """Such as ``key.created``."""
    key: str = ""
    """The id of the key that it is about."""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    previous: str
    """The digest of the entry before; empty for the first."""


def digest_of(pepper: bytes, encoded: bytes) -> str:
    """An entry's digest: HMAC-SHA-256 under the pepper, so that whoever can write to the store alone forges none."""
    return hmac.digest(pepper, b"audit:" + encoded, "sha256").hex()


def breaks(pepper: bytes, encoded: Sequence[bytes], head: str) -> list[int]:
    """Numbers of the entries that do not follow on what is kept before them; one past the last where the end is cut.

    ``encoded`` are entries in their order, ``head`` the digest of the latest that was ever written.
    """
    found: list[int] = []
    before: tuple[str, int] | None = None
    for each in encoded:
        entry = msgspec.json.decode(each, type=Entry)
        if before is not None and (entry.previous != before[0] or entry.number != before[1] + 1):
            found.append(entry.number)
        before = digest_of(pepper, each), entry.number
    if (before[0] if before is not None else "") != head:
        found.append(before[1] + 1 if before is not None else 1)
    return found
