"""A virtual key as it is kept."""

from typing import Any

from gateway.keys.form import read_key
from gateway.keys.virtual import VirtualKey, ancestors, caller_of, made

BUDGET: dict[str, Any] = {"name": "daily", "limit": "5 USD", "window": "1d"}


def key(name: str, by: str = "admin", **more: Any) -> VirtualKey:  # noqa: ANN401 - any field
    return made(read_key(more | {"name": name}), more, name=f"id-{name}", digest="kept", by=by, unix=1.0)


def test_what_a_key_spends_is_its_makers_too() -> None:
    first, second = key("a", budgets=[BUDGET]), key("b", by="id-a", tiers=["routing"], budgets=[BUDGET])
    keys = {each.id: each for each in (first, second)}
    assert ancestors(second, keys) == [first]
    caller = caller_of(second, keys)
    assert (caller.name, caller.tiers) == ("b", frozenset({"routing"}))
    assert [(each.name, each.owner.pattern) for each in caller.budgets] == [("b/daily", "b"), ("a/daily", "a")]


def test_nothing_of_a_secret_is_shown() -> None:
    shown = key("a").shown()
    assert shown["name"] == "a"
    assert not {"digest", "previous"} & set(shown)


def test_a_key_works_until_it_expires() -> None:
    assert key("a").works(1e12)
    assert not key("a", expires="2020-01-01").works(1.8e9)
