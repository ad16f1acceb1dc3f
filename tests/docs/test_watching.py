"""The page on watching, and the runbooks: one page for each alert, no page for none."""

import re

import pytest

from deploy.watching.alert import Alert
from deploy.watching.files import monitoring_files
from deploy.watching.recordings import recordings
from deploy.watching.rules import alerts
from tests.docs.markdown import ROOT, Page, code_in, tables

WATCHING = Page("docs/watching.md")
every_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)


@every_alert
def test_every_alert_has_a_runbook_that_says_what_it_means_and_what_to_do(alert: Alert) -> None:
    page = Page(f"docs/runbooks/{alert.page}")
    assert page.text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", page.text, re.MULTILINE) == ["What it means", "How to see", "What to do"]
    [table] = tables(page.text)
    assert table.columns == ("severity", "layer", "so for")
    assert table.rows == ((alert.severity, alert.layer, alert.lasts),)


def test_every_runbook_is_of_an_alert() -> None:
    assert {file.name for file in (ROOT / "docs/runbooks").iterdir()} == {alert.page for alert in alerts()}


def test_the_page_lists_every_alert_as_it_is() -> None:
    [table] = tables(WATCHING.section("Alerts"))
    assert [row[:-1] for row in table.rows] == [
        (f"[{alert.name}](runbooks/{alert.page})", alert.severity, alert.layer, alert.lasts) for alert in alerts()
    ]


def test_the_page_lists_every_file() -> None:
    table = next(tables(WATCHING.text))
    assert {code_in(cell)[0] for cell in table.column("file")} == set(monitoring_files(""))


def test_the_page_names_recordings_that_there_are() -> None:
    named = set(re.findall(r"`(tiergate:[^`]+)`", WATCHING.text))
    assert named
    assert named <= {recording.name for recording in recordings()}
