from decimal import Decimal

import pytest

from tiers import source
from tiers.source import Position, read


def complaint(text: str | bytes) -> str:
    [problem] = read(text, file="t.yaml").problems
    return str(problem)


def test_plain_data_comes_with_the_place_of_every_value_and_key() -> None:
    found = read("a: 1\nlist:\n  - x\n  - {b: 1.50}\n", file="t.yaml")
    assert found.problems == ()
    assert found.data == {"a": 1, "list": ["x", {"b": Decimal("1.50")}]}
    assert found.position(("a",)) == Position(line=1, column=1)
    assert found.values["a",] == Position(line=1, column=4)
    assert found.position(("list", 0)) == Position(line=3, column=5)
    assert found.position(("list", 1, "b")) == Position(line=4, column=6)


def test_what_is_missing_stands_where_it_is_missing_from() -> None:
    found = read("a: {b: 1}", file="t.yaml")
    assert found.position(("a", "c")) == found.position(("a",)) == Position(line=1, column=1)
    assert read("", file="t.yaml").position(("a",)) == Position(line=1, column=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("010", 10),
        ("-5", -5),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("0.15", Decimal("0.15")),
        (".5", Decimal("0.5")),
        ("1e3", "1e3"),
        ("9" * 30, "9" * 30),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!int 1", 1),
        ("<<", "<<"),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(text: str, expected: object) -> None:
    """No Norway problem, no octal, no sexagesimal, no dates; decimals are exact."""
    assert read(f"a: {text}", file="t.yaml").data == {"a": expected}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "the file is empty"),
        ("# only a comment\n", "1:1", "the file is empty"),
        ("a:\n\t- b", "2:1", "never with tabs"),
        ("{a: b", "1:6", "check indentation, colons and brackets"),
        ("a: *secret", "1:4", "an alias (*name) without its anchor"),
        ("a: 1\n---\nb: 2", "2:1", "take out the second"),
        ("a: \x01", "1:4", "not allowed in YAML"),
        ("ok: 1\na: \x01", "2:4", "not allowed in YAML"),
        (b"a: 1\nb: \xff", "2:4", "save the file as UTF-8"),
        ('a: "\\UFFFFFFFF"', "1:7", "out of range"),
        ("[" * 100, "1:33", "nested deeper than 32"),
        ("a: &a [*a]", "1:4", "nested deeper than 32"),
        ("a: &a x\nb: [" + "*a, " * 101 + "]", "2:405", "more than 100 aliases"),
        ("1: 2", "1:1", "a key must be text"),
        ("? [a]\n: 1", "1:3", "a key must be text"),
        ("<<: {a: 1}", "1:1", "merge keys (<<) are not read"),
        ("a: !!python/object:os.system {}", "1:4", "tags (!name) are not read"),
        ("a: !!set {b}", "1:4", "tags (!name) are not read"),
        ("a: !mine x", "1:4", "tags (!name) are not read"),
        ("a: !!int x", "1:4", "tags (!name) are not read"),
        ('a: "\\ud800"', "1:4", "half of a surrogate pair"),
        ("a: 1\nb: 2\na: 3", "3:1", "keep one; the first is in line 1"),
    ],
)
def test_text_that_cannot_be_read_is_a_problem_with_its_place(text: str | bytes, place: str, words: str) -> None:
    found = complaint(text)
    assert found.startswith(f"t.yaml:{place}: ")
    assert words in found
    assert "secret" not in found


def test_what_can_be_read_in_spite_of_a_problem_is_read() -> None:
    found = read("a: 1\na: 2\n1: x\nb: !mine y\nc: 3", file="t.yaml")
    assert found.data == {"a": 1, "b": None, "c": 3}
    assert len(found.problems) == 3


def test_aliases_of_whole_values_are_read() -> None:
    assert read("a: &x {b: 1}\nc: *x", file="t.yaml").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_byte_order_mark_is_no_character() -> None:
    assert read("\ufeffa: 1".encode(), file="t.yaml").data == {"a": 1}


def test_an_alias_bomb_stops_at_the_bound() -> None:
    """Nine levels of nine would be 387 million values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert f"more than {source.NODES_MAX} values" in complaint("\n".join(levels))


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    assert "longer than 1048576" in complaint("#" * (source.TEXT_BYTES_MAX + 1))
