"""The page on the orchestrator's API names what the code has."""

from fastapi import FastAPI

from orchestrator.host.metrics import HostMetrics
from orchestrator.host.refusals import REFUSALS
from orchestrator.host.routes import Routes
from tests.docs.markdown import Page, code_in, tables

PAGE = Page("docs/orchestrator-api.md")


def rows(section: str) -> list[dict[str, str]]:
    """The rows of the section's table."""
    [table] = tables(PAGE.section(section))
    columns = [table.column(name) for name in table.columns]
    return [dict(zip(table.columns, cells, strict=True)) for cells in zip(*columns, strict=True)]


def test_every_call_is_there() -> None:
    app = FastAPI()
    app.include_router(Routes(None).router())  # type: ignore[arg-type]
    served = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {code_in(row["call"])[0] for row in rows("Calls")} == served


def test_every_refusal_is_there_with_its_status() -> None:
    described = {code_in(row["code"])[0]: int(row["status"]) for row in rows("Refusals")}
    assert described == {code: refusal.status for code, refusal in REFUSALS.items()}


def series() -> dict[str, set[str]]:
    """The series of a worker, and their labels."""
    metrics = HostMetrics()
    metrics.run_rested("Flow", "succeeded", 1.0)
    metrics.call_ended("routing", "ok")
    metrics.call_layer("routing", "whole", 1.0)
    metrics.executor_wait(0.0)
    metrics._lag.labels("flows").observe(0.0)
    return {
        family.name + ("_total" if family.type == "counter" else ""): set(family.samples[0].labels) - {"le"}
        for family in metrics._registry.collect()
    }


def test_every_series_is_there_with_its_labels() -> None:
    described = {code_in(row["series"])[0]: set(code_in(row["labels"])) for row in rows("Series")}
    assert described == series()
