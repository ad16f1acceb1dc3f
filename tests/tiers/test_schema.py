from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.tiers.samples import WHOLE, changed
from tiers import schema
from tiers.gpus import catalogue
from tiers.load import load

EXAMPLES = Path(__file__).parents[2] / "examples" / "tiers"


def _errors(text: str) -> list[Any]:
    return list(Draft202012Validator(schema.json_schema()).iter_errors(yaml.safe_load(text)))


def test_the_file_for_editors_is_what_the_code_says() -> None:
    """After a change of the form, write tiers.schema.text() into tiers/tiers.schema.json."""
    assert files("tiers").joinpath("tiers.schema.json").read_text(encoding="utf-8") == schema.text()


def test_it_is_a_valid_schema_that_stands_alone() -> None:
    found = schema.json_schema()
    Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in found
    assert found["$defs"]["TierDocument"]["properties"]["gpu"]["examples"] == list(catalogue())


@pytest.mark.parametrize("name", ["fleet.yaml", "local.yaml", "overflow.yaml", "runpod.yaml"])
def test_the_shipped_maps_are_valid(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert _errors(text) == []
    assert load(text, file=name).routes[-1].name == "default"


def test_every_shipped_map_is_tested() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.yaml")) == [
        "fleet.yaml",
        "local.yaml",
        "overflow.yaml",
        "runpod.yaml",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("slots: 24", "slots: 0"),
        ("slots: 24", "slotz: 24"),
        ("wait: 30s", "wait: 30"),
        ("50 USD", "$50"),
        ("key: env:TIERGATE_DEMO_KEY", "key: literal"),
        (", key: env:TIERGATE_DEMO_KEY", ""),
        ('{agent: "*"}', '{agent: "*", run: "*"}'),
        ('">12000"', '"12000"'),
        ("http://127.0.0.1:9100/v1", "ftp://127.0.0.1:9100/v1"),
        ("store: embedded", "store: memory"),
        ("window: 1d", "window: 1y"),
        ("window: 1d", "window: 1d, spent: ignore"),
        ("window: 1d", 'window: 1d, alerts: {at: "80", webhook: env:HOOK}'),
        ("window: 1d", "window: 1d, alerts: {at: 80%, webhook: hooks.test}"),
        ("50 USD", "50 GPU days"),
        ("keys:\n", "limits: [{name: calm, owner: {all: '*'}}]\nkeys:\n"),
        ("slots: 24", "slots: 24\n    outage: open"),
        ("name: demo,", "name: demo, expires: soon,"),
        ("{name: default, tier: routing}", "{name: default, tier: routing, priority: 11}"),
    ],
)
def test_an_editor_sees_what_load_would_refuse(old: str, new: str) -> None:
    assert _errors(changed(old, new))


def test_an_editor_accepts_a_whole_map() -> None:
    assert _errors(WHOLE) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("window: 1d", "window: 1w, timezone: Europe/Berlin, rolling: false, spent: shadow"),
        ("window: 1d", "window: 6h, rolling: true, alerts: {at: [50%, 80%], webhook: env:HOOK}"),
        ("window: 1d", 'window: 90m, alerts: {at: 100%, webhook: "https://hooks.test/a?b=c"}'),
        ("50 USD", "0.5 GPU hours"),
        ("keys:\n", "limits: [{name: calm, owner: {team: a}, tokens_per_minute: 5, concurrency: 1}]\nkeys:\n"),
        ("slots: 24", "slots: 24\n    outage: closed"),
        ("slots: 24", "slots: 24\n    outage: {open: 0.50 USD}"),
        ("name: demo,", 'name: demo, expires: "2027-01-31", team: a, agents: [a, "b-*"],'),
        ("name: demo,", 'name: demo, expires: "2027-01-31T12:00:00+01:00",'),
        ("{name: default, tier: routing}", "{name: default, tier: routing, priority: -10}"),
    ],
)
def test_an_editor_takes_what_load_takes(old: str, new: str) -> None:
    text = changed(old, new)
    assert _errors(text) == []
    assert load(text, file="tiers.yaml").keys
