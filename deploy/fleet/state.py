"""Which endpoints are the fleet's, where they are, and what an apply that was stopped has left.

One JSON file beside the tier map. The gateway reads the addresses in it, and nothing else; it holds no secret. It is
replaced as a whole, so that nobody ever reads half of one, and it is on the disk before the change that it tells of is
made: what was begun is known even if the machine loses its power.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from deploy.fleet.answers import EndpointType
from deploy.fleet.errors import StateUnreadable
from tiers.fleet_addresses import state_file

__all__ = ["Applying", "Deployed", "FleetState", "Progress", "exclusive", "read_state", "state_file", "write_state"]

VERSION = 1
Progress = Literal["left", "begun", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One endpoint of the fleet's."""

    id: str
    name: str
    type: EndpointType
    url: str
    """Its base URL for requests."""
    model: str = ""
    """The name under which it serves its model; empty where it serves none, or nobody knows."""
    adopted: bool = False
    """Whether somebody else made it, and an operator gave it to the fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applying:
    """An apply that has not ended: its plan's checksum, and how far each of its changes is, by their names."""

    plan: str
    changes: Mapping[str, Progress] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """All that is kept."""

    fleet: str = ""
    """What the names of its endpoints begin with; empty before the first apply."""
    endpoints: Mapping[str, Deployed] = field(default_factory=dict)
    """By what they are: ``TIER/INDEX`` as in the tier map, ``orchestrator``, ``batch`` or ``gateway``."""
    retired: Mapping[str, Deployed] = field(default_factory=dict)
    """By id: endpoints in whose place another one is already, and that are still to be deleted."""
    applying: Applying | None = None

    @property
    def ids(self) -> frozenset[str]:
        """Every endpoint that is ours."""
        return frozenset([*(one.id for one in self.endpoints.values()), *self.retired])

    def with_endpoint(self, key: str, deployed: Deployed) -> "FleetState":
        """With this endpoint in its place; one that was there is retired."""
        before = self.endpoints.get(key)
        retired = dict(self.retired)
        if before is not None and before.id != deployed.id:
            retired[before.id] = before
        return replace(self, endpoints={**self.endpoints, key: deployed}, retired=retired)

    def without(self, endpoint_id: str) -> "FleetState":
        """Without any trace of it."""
        return replace(
            self,
            endpoints={key: one for key, one in self.endpoints.items() if one.id != endpoint_id},
            retired={key: one for key, one in self.retired.items() if key != endpoint_id},
        )

    def progressed(self, change: str, progress: Progress) -> "FleetState":
        """With one change of the running apply so far."""
        if self.applying is None:
            return self
        return replace(self, applying=replace(self.applying, changes={**self.applying.changes, change: progress}))


def read_state(file: Path) -> FleetState:
    """The state; an empty one where there is no file.

    Raises:
        StateUnreadable: It is no such file, or cannot be read.
    """
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return FleetState()
    except OSError as error:
        raise StateUnreadable(f"cannot read {file}: {error.strerror}", remedy="check its permissions") from error
    try:
        told = json.loads(text)
        if not isinstance(told, dict) or told.pop("version", None) != VERSION:
            raise StateUnreadable(
                f"{file} is no fleet state of version {VERSION}",
                remedy="see that the path is right, and that all of Tiergate is of the same version",
            )
        return TypeAdapter(FleetState).validate_python(told)
    except (ValueError, ValidationError) as error:
        raise StateUnreadable(
            f"{file} cannot be read as a fleet's state ({type(error).__name__})",
            remedy="put the last good copy in its place; without one move it away, and adopt each endpoint",
        ) from error


def write_state(file: Path, state: FleetState) -> None:
    """Put the state in the file's place; it is on the disk when this returns.

    Raises:
        StateUnreadable: It cannot be written.
    """
    told = {"version": VERSION, **TypeAdapter(FleetState).dump_python(state, mode="json")}
    text = json.dumps(told, indent=2, sort_keys=True) + "\n"
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StateUnreadable(
            f"cannot write {file}: {error.strerror}", remedy="give it a folder that can be written to, with --state"
        ) from error


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Let nobody else change the fleet of this state for so long.

    Raises:
        StateUnreadable: Somebody is at it, or the lock cannot be made.
    """
    lock = file.with_name(f".{file.name}.lock")
    try:
        opened = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StateUnreadable(
            f"cannot write {lock}: {error.strerror}", remedy="give it a folder that can be written to, with --state"
        ) from error
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateUnreadable(
                f"another tiergate-deploy is changing the fleet of {file}", remedy="wait until it has ended"
            ) from None
        yield
    finally:
        os.close(opened)
