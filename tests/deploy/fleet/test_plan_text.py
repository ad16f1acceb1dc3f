"""A plan for people."""

from deploy.fleet.change import Change, Obstacle, Plan
from deploy.fleet.difference import FieldChange
from deploy.fleet.plan_text import as_markdown, as_text

PLAN = Plan(
    fleet="acme",
    changes=(
        Change(
            action="update",
            kind="endpoint",
            key="a/0",
            name="acme-a-0",
            id="e1",
            fields=(FieldChange(field="timeout", before="0", after="600000"),),
            hour_max=2_232_000,
        ),
        Change(
            action="create",
            kind="endpoint",
            key="b/0",
            name="acme-b-0",
            fields=(FieldChange(field="image", before="none", after="x|y"),),
            hour_max=1_116_000,
            idle_day=26_784_000,
        ),
        Change(action="delete", kind="endpoint", key="c/0", name="acme-c-0", id="e3", unsafe=("deletes it",)),
    ),
    notes=("c/0 is old",),
    obstacles=(Obstacle(message="no room", remedy="make some"),),
    unsafe=("too many",),
    hour_max=3_348_000,
    idle_day=26_784_000,
    workers=5,
    quota=9,
)


def test_the_text_has_each_change_with_its_cost_and_the_sums() -> None:
    assert (
        as_text(PLAN)
        == f"""\
fleet acme: 1 to make, 1 to change, 1 to delete
note: c/0 is old

~ endpoint a/0: acme-a-0 (e1)
    timeout  0 -> 600000
    costs $2.23 an hour at most, $0.00 on an idle day

+ endpoint b/0: acme-b-0
    image  x|y
    costs $1.12 an hour at most, $26.78 on an idle day

- endpoint c/0: acme-c-0 (e3)
    UNSAFE: deletes it

UNSAFE: too many
PROBLEM: no room
  what to do: make some
the fleet then costs $3.35 an hour at most, $26.78 on an idle day
workers of the account: 5 at most, of 9
plan {PLAN.checksum}
it needs a second word: --allow-unsafe
"""
    )


def test_nothing_to_change_is_said() -> None:
    text = as_text(Plan(fleet="acme"))
    assert text.startswith("fleet acme: nothing to change\n")
    assert "plan " not in text


def test_markdown_has_a_table_of_changes_and_one_for_each_ones_fields() -> None:
    text = as_markdown(PLAN)
    assert "| ~ | change endpoint `a/0` | `acme-a-0` | $2.23 | $0.00 |  |" in text
    assert "| - | delete endpoint `c/0` | `acme-c-0` |  |  | deletes it |" in text
    assert "| `timeout` | 0 | 600000 |" in text
    assert "x\\|y" in text, "a bar in a value does not end its cell"
    assert "**Problem:** no room. make some" in text
    assert "> c/0 is old" in text
    assert "| | what |" not in as_markdown(Plan(fleet="acme"))
