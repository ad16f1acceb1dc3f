"""What is known of the tier map that is served, and of one that is not: values for operators, and between processes."""

from typing import Literal

import msgspec


class ServedMap(msgspec.Struct, frozen=True, kw_only=True):
    """One tier map in service."""

    generation: int
    """1 for the map of the gateway's start; each one that was taken over since has the next number."""
    hash: str
    """The first digits of its text's SHA-256."""
    loaded_unix: float
    """Since when, in Unix seconds."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """The file holds a tier map that cannot be served; the last good one still is."""

    hash: str
    """Of the file's text; empty where it cannot be read."""
    since_unix: float
    """When the file was first found to be no good, in Unix seconds."""
    problems: tuple[str, ...]
    """Every one of them, as ``tiergate-gateway check`` tells them; they may name files and fields, never a secret."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading the file again. ``generation`` and ``hash`` are those in service afterwards."""

    result: Literal["loaded", "unchanged", "rejected"]
    generation: int
    hash: str
    problems: tuple[str, ...] = ()
