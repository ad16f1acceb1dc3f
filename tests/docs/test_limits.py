"""The page of limits tells the numbers that are in the code."""

import re
from importlib import import_module

import pytest

from gateway import errors
from tests.docs.markdown import Page, code_in, tables

LIMITS = Page("docs/reference/limits.md")
[TABLE] = tables(LIMITS.text)
ROWS = dict(zip(TABLE.column("constant"), TABLE.column("limit"), strict=True))


@pytest.mark.parametrize("cell", ROWS)
def test_every_limit_is_the_constant_that_is_named(cell: str) -> None:
    module, _, name = code_in(cell)[0].rpartition(".")
    found = re.match(r"\d+", ROWS[cell])
    assert found is not None
    assert int(found[0]) == getattr(import_module(module), name)


def test_every_answer_is_an_error_of_the_gateway() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.GatewayError)]
    known = {(str(kind.status), kind.code) for kind in kinds}
    answers = [answer for answer in TABLE.column(TABLE.columns[2]) if code_in(answer)]
    assert len(answers) > 8
    for answer in answers:
        assert (answer.split()[0], code_in(answer)[0]) in known


@pytest.mark.parametrize("module", ["door", "guarded", "watch"])
def test_no_bound_of_the_front_is_left_out(module: str) -> None:
    """But for steps of measuring, and bytes that are dropped."""
    constants = {name for name in vars(import_module(f"gateway.front.{module}")) if name.endswith(("_MAX", "_SECONDS"))}
    named = {code_in(cell)[0].rpartition(".")[2] for cell in ROWS}
    unsaid = {"TICK_SECONDS", "SPARE_SECONDS", "LINGER_BYTES_MAX", "FULL_RETRY_SECONDS"}
    assert constants - unsaid <= named
