"""A dashboard's JSON."""

import json

from deploy.watching.dashboard import Choice, Dashboard, Row
from deploy.watching.panel import Panel


def panel(title: str, width: int, height: int = 8) -> Panel:
    """A panel without queries."""
    return Panel(title=title, queries=[], about="", width=width, height=height)


MADE = Dashboard(
    name="x",
    title="all of it",
    about="Everything.",
    choices=[Choice(name="tier", series="tiergate_slots")],
    rows=[
        Row(title="one", panels=[panel("a", 12, 6), panel("b", 8), panel("c", 12)]),
        Row(title="two", panels=[panel("d", 24)]),
    ],
)


def test_panels_go_below_where_they_do_not_fit_and_rows_below_each_other() -> None:
    placed = [(each["title"], each["gridPos"]["x"], each["gridPos"]["y"]) for each in MADE.drawn()["panels"]]
    assert placed == [("one", 0, 0), ("a", 0, 1), ("b", 12, 1), ("c", 0, 9), ("two", 0, 17), ("d", 0, 18)]


def test_numbers_are_given_once() -> None:
    numbers = [each["id"] for each in MADE.drawn()["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_data_source_and_labels_can_be_chosen() -> None:
    source, tier = MADE.drawn()["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("source", "datasource", "prometheus")
    assert tier["query"]["query"] == "label_values(tiergate_slots, tier)"


def test_its_file_is_json_of_the_same_with_its_own_address() -> None:
    assert json.loads(MADE.text()) == MADE.drawn()
    assert MADE.drawn()["uid"] == "tiergate-x"
