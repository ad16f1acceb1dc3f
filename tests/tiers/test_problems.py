from tiers.problems import Problem, Refused, TierMapInvalid, choices, quoted


def problem(line: int, field: str = "a.b") -> Problem:
    return Problem(file="t.yaml", line=line, column=5, field=field, message="wrong", remedy="mend it")


def test_a_problem_names_file_line_column_field_and_remedy() -> None:
    assert str(problem(12)) == "t.yaml:12:5: a.b: wrong — mend it"
    assert str(problem(12, field="")) == "t.yaml:12:5: wrong — mend it"


def test_problems_are_sorted_by_place_and_told_once() -> None:
    error = TierMapInvalid([problem(10), problem(9), problem(10)])
    assert [each.line for each in error.problems] == [9, 10]
    assert str(error).count("\n") == 1


def test_a_refusal_carries_its_remedy() -> None:
    error = Refused("wrong", "mend it")
    assert (error.message, error.remedy, str(error)) == ("wrong", "mend it", "wrong — mend it")


def test_quoted_text_stays_on_one_line_and_short() -> None:
    assert quoted('a "b"\nc') == '"a \\"b\\"\\nc"'
    assert len(quoted("x" * 1000)) < 100


def test_choices_say_what_was_probably_meant() -> None:
    assert choices("rooting", ["routing", "other"]) == 'use one of: routing, other; did you mean "routing"?'
    assert choices("zzz", ["routing"]) == "use one of: routing"
    assert "none to name" in choices("zzz", [])


def test_long_lists_of_choices_are_cut() -> None:
    assert choices("zzz", [f"tier-{index}" for index in range(25)]).endswith("tier-19 and 5 more")
