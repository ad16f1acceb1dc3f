# ruff: noqa: D101, D102 - the values here are test data
"""Whatever a step returns comes back as the same value, or is refused with its place."""

import json
import math
import sys
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from crewai.crews.crew_output import CrewOutput
from crewai.flow.flow import Flow, start
from crewai.flow.human_feedback import HumanFeedbackResult
from crewai.lite_agent_output import LiteAgentOutput
from crewai.tasks.task_output import TaskOutput
from crewai.types.usage_metrics import UsageMetrics
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from orchestrator.errors import ValueNotKept
from orchestrator.llm import tier
from orchestrator.runs.values import DEPTH_MAX, read, restored_state, written, written_state


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Odd(Enum):
    THING = (1, 2)


class Place(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = "here"
    tags: set[str] = set()
    alias: int = Field(default=0, alias="other")
    _cache: list[int] = PrivateAttr(default_factory=list)


class Strict(BaseModel):
    number: int = 0

    @field_validator("number")
    @classmethod
    def refuse(cls, _value: int) -> int:
        raise AssertionError("no validator runs on what was kept")


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    inner: "Point | None" = None
    derived: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise AssertionError("no constructor runs on what was kept")


class Pair(NamedTuple):
    left: int
    right: Colour


VALUES = [
    None,
    True,
    7,
    2**80,
    1.5,
    math.inf,
    "text",
    [1, [2, {"a": None}]],
    {"a": 1, "b": [True]},
    {"$": "not ours"},
    {1: "one", (1, 2): "pair", None: 0, False: 1},
    (1, "two", (3,)),
    {1, 2},
    frozenset({("a", 1)}),
    deque([1, 2], maxlen=3),
    OrderedDict([("b", 1), ("a", 2)]),
    b"\x00\xff",
    bytearray(b"x"),
    1 + 2j,
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    datetime(2026, 1, 1),  # noqa: DTZ001 - a wall clock is a value too
    date(2026, 1, 2),
    time(3, 4, 5, 6, tzinfo=UTC),
    timedelta(days=-1, microseconds=1),
    Decimal("1.10"),
    UUID(int=7),
    Path("/tmp/x"),
    Colour.RED,
    Level.HIGH,
    Odd.THING,
    Point(1, Point(2)),
    Pair(1, Colour.RED),
    Place.model_validate({"name": "there", "tags": {"a"}, "extra": Decimal(1), "other": 3}),
    HumanFeedbackResult(output=Point(1), feedback="good", outcome="yes", method_name="review"),
]


def through_json(value: object) -> Any:  # noqa: ANN401 - as ``read``
    return read(json.loads(json.dumps(written(value, where="output"), allow_nan=False)))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_the_same(value: object) -> None:
    back = through_json(value)
    assert type(back) is type(value)
    assert back == value
    assert repr(back) == repr(value)


def test_what_is_not_a_number_comes_back() -> None:
    assert math.isnan(through_json(math.nan))


def test_an_hour_that_comes_twice_comes_back_as_the_one_it_was() -> None:
    second = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert through_json(second).utcoffset() == timedelta(hours=1)


def test_models_come_back_without_their_validators_and_with_what_was_set() -> None:
    model = Strict.model_construct(number=3)
    assert through_json(model).number == 3
    place = through_json(Place(name="x"))
    assert place.model_fields_set == {"name"}
    assert place._cache == []
    assert through_json(Place.model_validate({"z": 1})).model_extra == {"z": 1}


def test_dataclasses_come_back_without_their_constructors() -> None:
    point = object.__new__(Point)
    for name, value in {"x": -1, "inner": None, "derived": 5}.items():
        object.__setattr__(point, name, value)
    assert through_json(point).derived == 5


def test_outputs_of_crews_tasks_and_agents_come_back() -> None:
    task = TaskOutput(description="d", agent="a", raw="r", pydantic=Place(name="deep"))
    crew = CrewOutput(raw="r", pydantic=Place(name="p"), tasks_output=[task], token_usage=UsageMetrics(total_tokens=3))
    agent = LiteAgentOutput(raw="r", pydantic=None, agent_role="a", usage_metrics={"total_tokens": 1})
    assert through_json(crew) == crew
    assert isinstance(through_json(crew).tasks_output[0].pydantic, Place)
    assert through_json(agent) == agent


class Holds(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    anything: Any = None


REFUSED = {
    "a lock": Lock(),
    "a function": len,
    "a class": Place,
    "a secret": SecretStr("s3cret-canary"),
    "an iterator": iter([1]),
    "an object": object(),
    "an iterator of bytes": memoryview(b"x"),
    "a str of another class": type("Text", (str,), {})("x"),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_value_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(ValueNotKept) as refused:
        written({"list": [0, Holds(anything=value)]}, where="output of step 'make'")
    assert str(refused.value).startswith("output of step 'make'.list[1].anything is a")
    assert "s3cret-canary" not in str(refused.value)


@pytest.mark.usefixtures("settings")
def test_what_acts_is_no_value_even_where_it_is_a_model() -> None:
    with pytest.raises(ValueNotKept, match=r"state\.llm is a orchestrator\.llm\.TierLLM"):
        written({"llm": tier("routing")}, where="state")


def test_classes_that_have_no_name_are_refused() -> None:
    class Local(BaseModel):
        pass

    with pytest.raises(ValueNotKept, match=r"output is a .*Local, a class that cannot be found"):
        written(Local(), where="output")


def test_what_holds_itself_or_is_too_deep_is_refused() -> None:
    loop: list[object] = []
    loop.append({"again": loop})
    with pytest.raises(ValueNotKept, match=r"output\[0\]\.again holds itself"):
        written(loop, where="output")
    deep: list[object] = []
    for _ in range(DEPTH_MAX + 1):
        deep = [deep]
    with pytest.raises(ValueNotKept, match="nested deeper"):
        written(deep, where="output")
    twice = [1]
    assert through_json([twice, twice]) == [[1], [1]]


FORGED = {
    "a module that is not loaded": {"$": "model", "of": "antigravity:Place", "v": {"set": [], "fields": {}}},
    "a function": {"$": "dataclass", "of": "os:system", "v": {"x": "true"}},
    "a class that is no value": {"$": "dataclass", "of": "subprocess:Popen", "v": {}},
    "an agent": {"$": "model", "of": "crewai.agent.core:Agent", "v": {"set": [], "fields": {}}},
    "no enum": {"$": "enum", "of": f"{__name__}:Point", "v": "x"},
    "no model": {"$": "model", "of": f"{__name__}:Point", "v": {"set": [], "fields": {}}},
    "no named tuple": {"$": "namedtuple", "of": "builtins:tuple", "v": []},
    "no member": {"$": "enum", "of": f"{__name__}:Colour", "v": "BLUE"},
    "an unknown kind": {"$": "pickle", "v": "gASVAAAA"},
}


@pytest.mark.parametrize("kept", FORGED.values(), ids=FORGED.keys())
def test_nothing_is_imported_or_called_because_a_store_says_so(kept: dict[str, Any]) -> None:
    with pytest.raises(ValueNotKept):
        read(kept)
    assert "antigravity" not in sys.modules


def test_a_module_of_the_flows_own_package_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home_of_flow.py").write_text("from enum import Enum\nclass Mood(Enum):\n    GOOD = 1\n")
    (tmp_path / "broken_home.py").write_text("import no_such_module_here\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    kept: Any = {"$": "enum", "of": "home_of_flow:Mood", "v": "GOOD"}
    with pytest.raises(ValueNotKept, match="there is no such class"):
        read(kept)
    assert read(kept, packages=["home_of_flow"]).value == 1
    with pytest.raises(ValueNotKept, match="cannot be imported"):
        read({"$": "enum", "of": "broken_home:Mood", "v": "GOOD"}, packages=["broken_home"])


class TypedState(BaseModel):
    count: int = 0
    seen: set[str] = set()


class Typed(Flow[TypedState]):
    _skip_auto_memory = True

    @start()
    def begin(self) -> None:
        """Nothing."""


class Untyped(Flow[dict[str, Any]]):
    _skip_auto_memory = True

    @start()
    def begin(self) -> None:
        """Nothing."""


def test_a_typed_state_comes_back_into_a_fresh_flow() -> None:
    before, after = Typed(), Typed()
    before.state.count, before.state.seen = 3, {"a"}
    kept = json.loads(json.dumps(written_state(before.state, where="state")))
    state = restored_state(after.state, kept)
    assert (state.count, state.seen, state.id) == (3, {"a"}, before.state.id)
    assert type(state) is type(after.state)


def test_an_untyped_state_comes_back_in_place() -> None:
    before, after = Untyped(), Untyped()
    before.state["when"] = date(2026, 1, 2)
    same = after.state
    same["left over"] = 1
    restored_state(same, json.loads(json.dumps(written_state(before.state, where="state"))))
    assert after.state == {"id": before.state["id"], "when": date(2026, 1, 2)}


@dataclass
class Unsteady:
    """A value that another thread changes while it is read, twice."""

    value: int = 1
    tries = 0

    def __getattribute__(self, name: str) -> object:
        if name == "value":
            Unsteady.tries += 1
            if Unsteady.tries < 3:
                raise RuntimeError("dictionary changed size during iteration")
        return super().__getattribute__(name)


def test_a_value_that_another_thread_changes_meanwhile_is_read_again() -> None:
    assert through_json(Unsteady()).value == 1
    Unsteady.tries = -50
    with pytest.raises(RuntimeError, match="changed size"):
        written(Unsteady(), where="state")
