"""What parent and child say to each other: one JSON line each way, over the child's standard input and output.

The parent keeps the child's standard input open as long as it lives, so its end is the parent's. Nothing is passed in
arguments or in the environment, where other users and later children could read a store's password.
"""

from pathlib import Path

import msgspec

from gateway.settings import Settings


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What one child is to serve, and where."""

    process: int
    """Its number, from 0."""
    listener: int
    """The file descriptor of its listening socket."""
    folder: str
    """Where the processes' series come together."""
    file: str
    """Its own file there."""
    store_url: str
    store_description: str
    store_remedy: str
    tiers_file: str
    tiers: bytes
    """The tier map as it was when the gateway started, so that a child that is started later serves the same one."""
    state_directory: str
    body_bytes_max: int
    drain_seconds: float

    @property
    def settings(self) -> Settings:
        """The settings of the whole gateway, as far as they concern a child."""
        return Settings(
            tiers_file=Path(self.tiers_file),
            state_directory=Path(self.state_directory),
            body_bytes_max=self.body_bytes_max,
            drain_seconds=self.drain_seconds,
        )


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a child answers once: that it serves, or why it cannot."""

    error: str = ""
    """Empty where it serves."""


def encoded(message: Assignment | Word) -> bytes:
    """The message as a line."""
    return msgspec.json.encode(message) + b"\n"


def read_assignment(line: bytes) -> Assignment:
    """The assignment in ``line``. Raises ``msgspec.DecodeError`` where it is none, such as after the parent's end."""
    return msgspec.json.decode(line, type=Assignment)


def read_word(line: bytes) -> Word | None:
    """The child's word in ``line``; ``None`` where it is none: the child ended before it said anything."""
    try:
        return msgspec.json.decode(line, type=Word)
    except msgspec.DecodeError:
        return None
