"""A panel's JSON."""

from deploy.watching.panel import Panel, Query

LINE = Panel(title="Delay time", queries=[Query(expr="a", legend="{{tier}}"), Query(expr="b")], about="waits", unit="s")


def test_lines_are_asked_for_over_time_and_single_values_for_now() -> None:
    stat = Panel(title="Store", queries=LINE.queries, about="", kind="stat")
    assert [target["range"] for target in LINE.drawn(1, x=0, y=0)["targets"]] == [True, True]
    assert [target["instant"] for target in stat.drawn(1, x=0, y=0)["targets"]] == [True, True]


def test_it_stands_where_it_is_put_and_says_what_it_is() -> None:
    drawn = LINE.drawn(7, x=12, y=3)
    assert (drawn["id"], drawn["gridPos"]) == (7, {"x": 12, "y": 3, "w": 12, "h": 8})
    assert (drawn["title"], drawn["description"]) == ("Delay time", "waits")
    assert drawn["fieldConfig"]["defaults"]["unit"] == "s"


def test_each_query_has_a_letter_and_a_legend() -> None:
    targets = LINE.drawn(1, x=0, y=0)["targets"]
    assert [(target["refId"], target["legendFormat"]) for target in targets] == [("A", "{{tier}}"), ("B", "__auto")]


def test_a_limit_is_drawn_in_red() -> None:
    limited = Panel(title="", queries=[], about="", red=0.9).drawn(1, x=0, y=0)["fieldConfig"]["defaults"]
    assert limited["thresholds"]["steps"][-1] == {"color": "red", "value": 0.9}
    assert limited["custom"]["thresholdsStyle"] == {"mode": "line"}
    unlimited = LINE.drawn(1, x=0, y=0)["fieldConfig"]["defaults"]
    assert len(unlimited["thresholds"]["steps"]) == 1


def test_parts_of_a_whole_stand_on_one_another() -> None:
    stacked = Panel(title="", queries=[], about="", stacked=True).drawn(1, x=0, y=0)
    assert stacked["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"


def test_a_table_shows_the_labels() -> None:
    table = Panel(title="", queries=[Query(expr="ALERTS")], about="", kind="table").drawn(1, x=0, y=0)
    assert table["targets"][0]["format"] == "table"
    assert table["options"]["showHeader"]
