"""What rules and dashboards may name: series, labels and their values that are exposed, and recorded series."""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from deploy.watching.recordings import recordings
from tests.docs.markdown import Page
from tests.docs.test_orchestrator_api import series as flow_series
from tests.docs.test_reference import series as gateway_series

OF_PROMETHEUS = {"le", "instance", "job", "alertname", "alertstate"}
"""Labels that Prometheus itself gives."""
_NAME = re.compile(r"\b(?:tiergate[:_]|gen_ai_)[\w:]+|\bALERTS\b")
_SELECTOR = re.compile(r"((?:tiergate[:_]|gen_ai_)[\w:]+|ALERTS)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|group_left|ignoring)\s*\(([^)]*)\)")
_PARTS = ("_bucket", "_sum", "_count")
_PAGES = ("docs/reference/metrics.md", "docs/reference/errors.md", "docs/orchestrator-api.md")


@cache
def known() -> Mapping[str, frozenset[str]]:
    """Series → its labels."""
    labels = {name: frozenset(names) for name, (_, names) in gateway_series().items()}
    labels |= {name: frozenset(names) for name, names in flow_series().items()}
    labels["ALERTS"] = frozenset({"severity", "layer"})
    for recording in recordings():
        found = [labels[_whole(name)] for name in _NAME.findall(recording.expr)]
        groups = [set(_split(group)) for group in _GROUPING.findall(recording.expr)]
        labels[recording.name] = frozenset().union(*groups) if groups else frozenset().union(*found)
    return labels


def problems(expr: str, legend: str = "") -> Iterator[str]:
    """What an expression names that nothing exposes, as people would say it."""
    names = {_whole(name) for name in _NAME.findall(_GROUPING.sub("", expr))}
    yield from (f"no series {name}" for name in names if name not in known())
    labels = frozenset[str](OF_PROMETHEUS).union(*(known().get(name, frozenset()) for name in names))
    for name, matchers in _SELECTOR.findall(expr):
        own = known().get(_whole(name), frozenset()) | OF_PROMETHEUS
        for label, value in _MATCHER.findall(matchers):
            if label not in own:
                yield f"{name} has no label {label}"
            yield from (f"{label} is never {word}" for word in _words(label, value) if word not in _told())
    for group in _GROUPING.findall(expr):
        yield from (f"nothing in {expr} has a label {label}" for label in _split(group) if label not in labels)
    yield from (f"no label {label} for a legend" for label in re.findall(r"{{(\w+)}}", legend) if label not in labels)


def _whole(name: str) -> str:
    """The family of one of a histogram's series."""
    return next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _words(label: str, value: str) -> list[str]:
    if label in OF_PROMETHEUS or value.startswith("$"):
        return []
    return value.split("|")


@cache
def _told() -> frozenset[str]:
    """Every word in code type on the pages that describe series."""
    return frozenset(code for page in _PAGES for code in Page(page).codes())
