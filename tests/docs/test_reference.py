"""The reference pages name all there is, and nothing that there is not."""

import argparse
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, cast, get_args

import pytest
import yaml

import deploy.cli
import deploy.local.engine
import gateway.cli
import orchestrator.cli
from gateway import errors, settings
from gateway.admin_api import AdminDesk, add_admin
from gateway.api import Desk, Gateway
from gateway.bill_api import BillDesk, add_bill
from gateway.budget.ledger import Balance
from gateway.errors import GatewayError
from gateway.record import RequestRecord
from gateway.telemetry.metrics import Metrics
from gateway.usage_api import UsageDesk, add_usage
from gateway.wake_api import Announced, State, WakeDesk, add_wake
from gateway.wire.headers import _NOT_TO_CLIENT, _TO_UPSTREAM
from gateway.wire.operations import OPERATIONS
from orchestrator.settings import CREWAI_ENVIRONMENT
from tests.docs.markdown import ROOT, Page, code_in, pages, tables
from tests.docs.test_orchestrator_api import series as flow_series
from tiers.load import load
from tiers.quantities import seconds
from tiers.schema import json_schema

CONFIGURATION = Page("docs/configuration.md")
ERRORS = Page("docs/reference/errors.md")
METRICS = Page("docs/reference/metrics.md")
API = Page("docs/reference/api.md")
HEADERS = Page("docs/reference/headers.md")
LOG = Page("docs/log.md")
TIER_MAP = Page("docs/tier-map.md")
ARCHITECTURE = Page("docs/architecture.md")

PROGRAMS = ("gateway", "orchestrator", "deploy")
_VARIABLE = re.compile(r"TIERGATE_[A-Z_]*[A-Z]")


def source(*folders: str) -> str:
    """The text of every Python file in ``folders``."""
    files = sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


# --- architecture


def test_the_drawing_of_the_layers_is_the_contract_that_is_checked() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [each for each in configuration["tool"]["importlinter"]["contracts"] if "containers" in each]
    [drawing] = [block.text for block in ARCHITECTURE.blocks("text") if block.text.startswith("\ncli ")]
    assert [re.split(r" {2,}", line)[0] for line in drawing.strip().splitlines()] == contract["layers"]


# --- configuration


def command_lines() -> dict[str, argparse.ArgumentParser]:
    """Section of the page → the command line that it describes."""
    return {
        "tiergate-gateway": commands(gateway.cli._parser())["serve"],
        "tiergate-orchestrator": commands(orchestrator.cli.build_parser())["run"],
        "A project to begin with": commands(orchestrator.cli.build_parser())["new"],
        "A drawing of a Flow": commands(orchestrator.cli.build_parser())["plot"],
        "The app behind a load balancer": commands(orchestrator.cli.build_parser())["serve"],
        "A worker of a queue": commands(orchestrator.cli.build_parser())["worker"],
        "tiergate-deploy": commands(deploy.cli.parser())["local"],
        "The local engine": deploy.local.engine.parser(),
    }


def commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The commands of a program by name."""
    [action] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return action.choices


@pytest.mark.parametrize("section", ["tiergate-gateway", "tiergate-orchestrator", "tiergate-deploy"])
def test_every_command_is_described(section: str) -> None:
    makers = {
        "tiergate-gateway": gateway.cli._parser,
        "tiergate-orchestrator": orchestrator.cli.build_parser,
        "tiergate-deploy": deploy.cli.parser,
    }
    for name in commands(makers[section]()):
        assert f"`{section} {name}" in CONFIGURATION.section(section)


@pytest.mark.parametrize("section", list(command_lines()))
def test_every_option_has_a_row_and_every_row_is_an_option(section: str) -> None:
    parser = command_lines()[section]
    text = CONFIGURATION.section(section).partition("\n### ")[0]
    described = [
        option.split()[0]
        for table in tables(text)
        if table.columns[0] == "option"
        for cell in table.column("option")
        for option in code_in(cell)
    ]
    options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    assert sorted(described) == sorted(set(options) - {"--help"})


def test_the_gateways_variables_and_defaults_stand_beside_their_options() -> None:
    serve = command_lines()["tiergate-gateway"]
    options = {action.dest: action.option_strings[0] for action in serve._actions if action.option_strings}
    [table] = [
        each for each in tables(CONFIGURATION.text) if "environment" in each.columns and "option" in each.columns
    ]
    described = {
        code_in(variable)[0]: (code_in(option)[0].split()[0], default)
        for option, variable, default in zip(
            table.column("option"), table.column("environment"), table.column("default"), strict=True
        )
    }
    assert {name: option for name, (option, _) in described.items()} == {
        variable: options[setting] for variable, setting in settings.ENVIRONMENT.items()
    }
    defaults = {field.name: field.default for field in fields(settings.Settings)}
    for variable, (_, cell) in described.items():
        default = defaults[settings.ENVIRONMENT[variable]]
        if default is MISSING:
            assert cell == "required"
        elif default is not None:
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert code_in(cell) == [shown]


def test_every_variable_that_a_program_reads_is_described() -> None:
    read = set(_VARIABLE.findall(source(*PROGRAMS))) | set(CREWAI_ENVIRONMENT)
    assert read <= set(re.findall(r"[A-Z][A-Z_]+[A-Z]", CONFIGURATION.text))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path)
def test_no_page_names_a_variable_that_nobody_reads(page: Page) -> None:
    maps = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "examples").rglob("*.yaml"))
    known = _VARIABLE.findall(source(*PROGRAMS) + maps + (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(_VARIABLE.findall(page.text)) <= set(known)


# --- errors


def error_classes() -> dict[str, type[GatewayError]]:
    """Every class of ``gateway.errors`` by its name."""
    found = (value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, GatewayError))
    return {each.__name__: each for each in found}


def test_every_error_has_a_row_that_says_what_its_class_says() -> None:
    table = next(tables(ERRORS.section("All of them")))
    rows = {code_in(row[0])[0]: row for row in table.rows}
    assert set(rows) == set(error_classes())
    for name, kind in error_classes().items():
        _, status, code, word, outcome, retry, _ = rows[name]
        assert status == ("the endpoint's" if kind is errors.UpstreamAnswered else str(kind.status)), name
        assert [*code_in(code), *code_in(word), *code_in(outcome)] == [kind.code, kind.type, kind.outcome], name
        assert retry == ("yes" if kind.retry else "no"), name


def test_every_error_code_has_a_remedy() -> None:
    table = next(tables(ERRORS.section("What to do")))
    assert sorted(code_in(cell)[0] for cell in table.column("code")) == sorted(
        {kind.code for kind in error_classes().values()}
    )


def test_every_outcome_is_listed() -> None:
    outcomes = {kind.outcome for kind in error_classes().values()} | {"ok"}
    assert outcomes <= set(re.findall(r"`(\w+)`", ERRORS.section("Outcomes")))


# --- metrics


def series() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every series as it is exposed → its type and labels."""
    tier_map = load((ROOT / "examples/tiers/local.yaml").read_bytes(), file="local.yaml")
    return {each.name: (each.kind, each.labels) for each in Metrics(tier_map, version="0").families}


def test_every_series_has_a_row_with_its_type_and_labels() -> None:
    described = {
        code_in(row[0])[0]: (row[1], tuple(code_in(row[2])))
        for table in tables(METRICS.text)
        if table.columns[0] == "series"
        for row in table.rows
    }
    assert described == series()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path)
def test_no_page_names_a_series_that_is_not_exposed(page: Page) -> None:
    labels = {label for _, names in series().values() for label in names}
    assert set(re.findall(r"\b(?:tiergate|gen_ai)_[a-z]\w+", page.prose)) <= set(series()) | set(flow_series()) | labels


# --- API and headers


def test_the_api_page_lists_every_metered_operation_and_no_other() -> None:
    table = next(tables(API.section("Metered operations")))
    described = {code_in(row[0])[0]: code_in(row[1])[0] for row in table.rows}
    assert described == {operation.path: operation.name for operation in OPERATIONS.values()}


def test_the_api_page_lists_every_route_and_no_other() -> None:
    nothing = cast("Any", None)
    desk = Desk(
        authenticate=nothing,
        names=nothing,
        contexts=nothing,
        readiness=nothing,
        metrics=nothing,
        balances=nothing,
        records=nothing,
        tiers=nothing,
        wake=nothing,
    )
    application = Gateway(serving=nothing, desk=desk, version="0")
    admin_desk = AdminDesk(digest="", port=0, office=nothing, reload=nothing, report=nothing)
    add_admin(application, admin_desk)
    add_bill(application, BillDesk(admin=admin_desk.admin, reconciliation=None, clock=nothing))
    add_wake(application, WakeDesk(authenticate=nothing, announce=nothing))
    add_usage(
        application,
        UsageDesk(
            authenticate=nothing,
            admin_digest="",
            flush=nothing,
            pages=nothing,
            ledger=nothing,
            budgets=nothing,
            clock=nothing,
        ),
    )
    served = {
        f"{method} {route.path.replace(':path', '')}"
        for route in cast("list[Any]", application.routes)
        for method in route.methods - {"HEAD"}
    }
    table = next(tables(API.section("Other routes")))
    assert {code_in(cell)[0] for cell in table.column("route")} == served


def test_the_api_page_lists_every_field_of_a_balance() -> None:
    table = next(tables(API.section("Budgets")))
    named = [code_in(cell)[0] for cell in table.column("field")]
    assert named == [*(field.name for field in fields(Balance)), "available"]


def test_the_api_page_lists_every_field_and_state_of_an_announced_tier() -> None:
    of_fields, of_states = tables(API.section("Announcing tiers"))
    assert [name for cell in of_fields.column("field") for name in code_in(cell)] == [
        field.name for field in fields(Announced)
    ]
    assert tuple(code_in(row[0])[0] for row in of_states.rows) == get_args(State)


def test_every_header_of_ours_is_described_and_no_other() -> None:
    known = set(re.findall(r'b"(x-[a-z-]+[a-z])"', source("gateway")))
    assert set(re.findall(r"`(x-[a-z-]+[a-z])`", HEADERS.prose)) == known


def test_every_header_that_passes_to_an_endpoint_is_named() -> None:
    named = set(HEADERS.codes())
    assert {name.decode() for name in _TO_UPSTREAM} <= named
    hop_by_hop = {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"}
    assert {name.decode() for name in _NOT_TO_CLIENT} - hop_by_hop <= named


# --- log


def test_every_field_of_the_canonical_line_has_a_row_in_its_order() -> None:
    table = next(tables(LOG.section("request.ended")))
    named = [code_in(cell)[0] for cell in table.column("field")]
    assert named == ["event", "time", *RequestRecord.__struct_fields__]


def test_every_event_of_the_gateways_life_is_described() -> None:
    events = set(re.findall(r'(?:\.event|\b_?report)\(\s*"([a-z_.]+)"', source("gateway")))
    table = next(tables(LOG.section("The gateway's own events")))
    assert {code_in(cell)[0] for cell in table.column("event")} == events


# --- tier map


def schema_fields() -> dict[str, object]:
    """Path of every field → its default; ``required`` where it must be given."""
    schema = json_schema()
    return dict(_fields(schema, schema["$defs"], ""))


def _fields(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[tuple[str, object]]:
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    for name, child in node.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        yield place, "required" if name in node.get("required", ()) else child.get("default")
        yield from _fields(child, definitions, place)
    for option in node.get("anyOf", ()):
        yield from _fields(option, definitions, path)
    if isinstance(node.get("additionalProperties"), dict):
        yield from _fields(node["additionalProperties"], definitions, f"{path}.NAME")
    if isinstance(node.get("items"), dict):
        yield from _fields(node["items"], definitions, f"{path}[]")


def test_every_field_of_the_tier_map_has_a_row_with_its_default_and_no_other_has() -> None:
    described = {
        code_in(row[0])[0]: row[1]
        for table in tables(TIER_MAP.section("Fields"))
        if table.columns[0] == "field"
        for row in table.rows
    }
    fields_of_schema = schema_fields()
    assert sorted(described) == sorted(fields_of_schema)
    for path, default in fields_of_schema.items():
        cell = described[path]
        if default == "required":
            assert cell == "required", path
        elif default is None:
            assert cell == "none", path
        elif isinstance(default, dict) and default:
            assert cell == "see its fields", path
        else:
            [written] = code_in(cell)
            value = seconds(written) if isinstance(default, float) else yaml.safe_load(written)
            assert value == default, path
