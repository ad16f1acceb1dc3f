"""What parent and child say to each other: JSON lines over the child's standard input and output.

The first line each way is the *assignment* and the child's *word* that it serves. After that the parent gives *orders*,
each of which is a class below; the child answers those that say so with a word, one for each, in their order. Its word
may also be that it asks for the tier map to be read again. What either does not know of the other, it passes over, so a
child may be of a later version than its parent.

The parent keeps the child's standard input open as long as it lives, so its end is the parent's. Nothing is passed in
arguments or in the environment, where other users and later children could read a store's password.
"""

from pathlib import Path

import msgspec

from gateway.served import Outcome, Rejection, ServedMap
from gateway.settings import Settings
from tiers.addresses import secret_reference


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
    """The tier map that is in service, so that all children serve the same one, whatever the file holds."""
    served: ServedMap
    rejected: Rejection | None
    """Why the file's tier map is not the one in service, where it is not."""
    state_directory: str
    body_bytes_max: int
    drain_seconds: float
    drain_delay_seconds: float
    runpod_speed: float
    slot_lease_seconds: int
    records_max: int
    records_days: int
    admin_listen: tuple[str, int] | None
    runpod_key: str
    """Where it is read; empty where there is none."""
    runpod_url: str
    admin_digest: str
    """SHA-256 of the admin key; empty where there is none."""

    @property
    def settings(self) -> Settings:
        """The settings of the whole gateway, as far as they concern a child."""
        return Settings(
            tiers_file=Path(self.tiers_file),
            state_directory=Path(self.state_directory),
            body_bytes_max=self.body_bytes_max,
            drain_seconds=self.drain_seconds,
            drain_delay_seconds=self.drain_delay_seconds,
            runpod_speed=self.runpod_speed,
            slot_lease_seconds=self.slot_lease_seconds,
            records_max=self.records_max,
            records_days=self.records_days,
            admin_listen=self.admin_listen,
            runpod_key=secret_reference(self.runpod_key) if self.runpod_key else None,
            runpod_url=self.runpod_url,
        )


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag="prepare"):
    """Make ready to serve this tier map. Answered, with an error where it cannot be served."""

    tiers: bytes
    served: ServedMap


class Swap(msgspec.Struct, frozen=True, kw_only=True, tag="swap"):
    """Serve what was prepared. Answered."""


class Forget(msgspec.Struct, frozen=True, kw_only=True, tag="forget"):
    """What was prepared is not wanted: another process could not."""


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note"):
    """What is known of the tier map's file."""

    rejected: Rejection | None


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """What came of reading the file again, for which this child has asked."""

    outcome: Outcome


class Leave(msgspec.Struct, frozen=True, kw_only=True, tag="leave"):
    """Another process has taken the child's place: accept no connection from now on, let answers end, and end."""


Order = Prepare | Swap | Forget | Note | Told | Leave


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a child says: that it has done what it was told, or why it cannot."""

    error: str = ""
    """Empty where it has."""
    asks: bool = False
    """It is no answer: somebody there asks for the tier map to be read again. Answered by ``Told``."""


def encoded(message: Assignment | Order | Word) -> bytes:
    """The message as a line."""
    return msgspec.json.encode(message) + b"\n"


def read_assignment(line: bytes) -> Assignment:
    """The assignment in ``line``. Raises ``msgspec.DecodeError`` where it is none, such as after the parent's end."""
    return msgspec.json.decode(line, type=Assignment)


def read_order(line: bytes) -> Order | None:
    """The order in ``line``; ``None`` where it is none that is known here."""
    try:
        order: Order = msgspec.json.decode(line, type=Order)
    except msgspec.DecodeError:
        return None
    return order


def read_word(line: bytes) -> Word | None:
    """The child's word in ``line``; ``None`` where it is none: the child ended before it said anything."""
    try:
        return msgspec.json.decode(line, type=Word)
    except msgspec.DecodeError:
        return None
