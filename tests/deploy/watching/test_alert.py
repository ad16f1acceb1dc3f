"""One alert rule."""

import pytest

from deploy.watching.alert import Alert

STORE = Alert(
    name="TiergateStoreDown",
    expr="up == 0",
    lasts="1m",
    severity="page",
    layer="store",
    summary="It is away",
    advice="Bring it back.",
)


def test_a_rule_tells_what_to_do_and_where_to_read_on() -> None:
    assert STORE.rule("https://wiki.example.com/runbooks") == {
        "alert": "TiergateStoreDown",
        "expr": "up == 0",
        "for": "1m",
        "labels": {"severity": "page", "layer": "store"},
        "annotations": {
            "summary": "It is away",
            "description": "Bring it back.",
            "runbook_url": "https://wiki.example.com/runbooks/store-down.md",
        },
    }


@pytest.mark.parametrize(("name", "page"), [("TiergateStoreDown", "store-down.md"), ("TiergateX", "x.md")])
def test_its_page_is_named_after_it(name: str, page: str) -> None:
    made = Alert(name=name, expr="", lasts="", severity="page", layer="gpu", summary="", advice="")
    assert made.page == page
