"""A change that was seen on one state is made again on another, as the step meant it."""

import json
from decimal import Decimal

import pytest
from pydantic import JsonValue

from orchestrator.runs.changes import changed, changes_between
from orchestrator.runs.values import read, written

PAIRS: list[tuple[object, object]] = [
    ({"a": 1}, {"a": 1}),
    ({"a": 1, "b": 2}, {"b": 3, "c": None}),
    ({"a": [1, 2]}, {"a": [1, 2, 3, 4]}),
    ({"a": [1, 2]}, {"a": [2]}),
    ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}),
    ({"a": {1, 2}}, {"a": {2, 3}}),
    ({"a": (1, 2)}, {"a": (1, 3)}),
    ({"a": Decimal(1)}, {"a": Decimal(2)}),
    ({"a": 1}, {"a": True}),
    ({"a": 1}, {"a": 1.0}),
    ({"a": None}, {"a": {"deep": {"deeper": []}}}),
    ({"a": {"$": 1}}, {"a": {"$": 2}}),
    ([], {"a": 1}),
    ({"a": "x"}, {"a": 2}),
]


def as_json(value: object) -> JsonValue:
    kept: JsonValue = json.loads(json.dumps(written(value, where="state")))
    return kept


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=repr)
def test_changes_turn_the_old_into_the_new(old: object, new: object) -> None:
    before = as_json(old)
    after = changed(before, list(changes_between(before, as_json(new))))
    assert read(after) == new
    assert repr(read(after)) == repr(new)
    assert before == as_json(old)


TOGETHER: list[tuple[object, object, object, object]] = [
    # what was kept, what others had changed by then, what the step made of that, what is to be kept of it
    ({"log": []}, {"log": ["theirs"]}, {"log": ["theirs", "mine"]}, {"log": ["mine"]}),
    ({"n": 0}, {"n": 1}, {"n": 2}, {"n": 1}),
    ({"n": 0}, {"n": 0}, {"n": 2}, {"n": 2}),
    ({"n": "x"}, {"n": 1}, {"n": 2}, {"n": 2}),
    ({"s": {1}}, {"s": {1, 2}}, {"s": {2, 3}}, {"s": {3}}),
    ({"d": {}}, {"d": {"theirs": 1}}, {"d": {"theirs": 1, "mine": 2}}, {"d": {"mine": 2}}),
    ({"d": {}}, {"d": {"theirs": 1}}, {"d": {}}, {"d": {}}),
    ({}, {"made": {"x": 1}}, {"made": {"x": 2}}, {}),
    ({}, {"made": [1]}, {"made": [1, 2]}, {"made": [2]}),
    ({"l": [{"a": 1}]}, {"l": [{"a": 1}, {"b": 1}]}, {"l": [{"a": 1}, {"b": 2}]}, {"l": [{"a": 1}]}),
    ({"l": [1]}, {"l": [1, 2]}, {"l": [1, 9]}, {"l": [1, 9]}),
    ({"s": None}, {"s": {1}}, {"s": {1, 2}}, {"s": {2}}),
]


@pytest.mark.parametrize(("kept", "seen", "then", "mine"), TOGETHER, ids=repr)
def test_a_change_is_made_without_what_others_had_changed(
    kept: object, seen: object, then: object, mine: object
) -> None:
    changes = list(changes_between(as_json(seen), as_json(then)))
    assert read(changed(as_json(kept), changes)) == mine
