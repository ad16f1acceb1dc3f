"""Python's own types that JSON does not have: how each is written with what JSON has, and read back."""

import base64
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PosixPath, PurePosixPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """One type: its ``name`` in JSON, ``write`` to simpler values (which are written in their turn), and ``read``."""

    type: type
    name: str
    write: Callable[[Any], object]
    read: Callable[[Any], object]


def _zone(value: ZoneInfo) -> str:
    if value.key is None:
        raise TypeError("a time zone without a name")
    return value.key


def _datetime(value: datetime) -> list[object]:
    """Its wall clock, its fold, and its zone: by name, as an offset, or none."""
    return [value.replace(tzinfo=None, fold=0).isoformat(), value.fold, _zone_of(value)]


def _zone_of(value: datetime) -> object:
    zone = value.tzinfo
    if zone is None or isinstance(zone, timezone | ZoneInfo):
        return zone
    offset = value.utcoffset()
    return None if offset is None else timezone(offset)


def _from_datetime(kept: list[Any]) -> datetime:
    wall, fold, zone = kept
    return datetime.fromisoformat(wall).replace(fold=fold, tzinfo=zone)


def _offset(value: timezone) -> list[int]:
    offset = value.utcoffset(None)
    return [offset.days, offset.seconds, offset.microseconds]


def _from_offset(kept: list[int]) -> timezone:
    offset = timedelta(*kept)
    return timezone(offset) if offset else UTC


_ALL = (
    Builtin(type=tuple, name="tuple", write=list, read=tuple),
    Builtin(type=set, name="set", write=list, read=set),
    Builtin(type=frozenset, name="frozenset", write=list, read=frozenset),
    Builtin(type=deque, name="deque", write=lambda v: [list(v), v.maxlen], read=lambda k: deque(k[0], k[1])),
    Builtin(type=OrderedDict, name="ordered", write=lambda v: list(map(list, v.items())), read=OrderedDict),
    Builtin(type=bytes, name="bytes", write=lambda v: base64.b64encode(v).decode(), read=base64.b64decode),
    Builtin(
        type=bytearray,
        name="bytearray",
        write=lambda v: base64.b64encode(v).decode(),
        read=lambda k: bytearray(base64.b64decode(k)),
    ),
    Builtin(type=float, name="float", write=str, read=float),
    Builtin(type=complex, name="complex", write=lambda v: [v.real, v.imag], read=lambda k: complex(*k)),
    Builtin(type=datetime, name="datetime", write=_datetime, read=_from_datetime),
    Builtin(type=date, name="date", write=date.isoformat, read=date.fromisoformat),
    Builtin(
        type=time,
        name="time",
        write=lambda v: [v.replace(tzinfo=None, fold=0).isoformat(), v.fold, v.tzinfo],
        read=lambda k: time.fromisoformat(k[0]).replace(fold=k[1], tzinfo=k[2]),
    ),
    Builtin(
        type=timedelta,
        name="timedelta",
        write=lambda v: [v.days, v.seconds, v.microseconds],
        read=lambda k: timedelta(*k),
    ),
    Builtin(type=timezone, name="timezone", write=_offset, read=_from_offset),
    Builtin(type=ZoneInfo, name="zone", write=_zone, read=ZoneInfo),
    Builtin(type=Decimal, name="decimal", write=str, read=Decimal),
    Builtin(type=UUID, name="uuid", write=str, read=UUID),
    Builtin(type=PosixPath, name="path", write=str, read=PosixPath),
    Builtin(type=PurePosixPath, name="purepath", write=str, read=PurePosixPath),
)

BUILTINS: Final[Mapping[type, Builtin]] = {each.type: each for each in _ALL}
"""By the type itself; a subclass is something else."""

BUILTINS_BY_NAME: Final[Mapping[str, Builtin]] = {each.name: each for each in _ALL}
"""By the name in JSON."""
