"""A key never grants more than its maker holds."""

from typing import Any

import pytest

from gateway.errors import KeyExceedsMaker
from gateway.keys.rights import check_no_more
from tests.gateway.keys.test_virtual import key

MAKER: dict[str, Any] = {
    "team": "red", "tiers": ["routing"], "agents": ["writer-*"], "expires": "2030-01-01", "may_make_keys": True
}  # fmt: skip
SAME: dict[str, Any] = {**MAKER, "may_make_keys": False}


@pytest.mark.parametrize("less", [{}, {"agents": ["writer-1"]}, {"agents": ["writer-a*"]}, {"expires": "2029-01-01"}])
def test_as_much_or_less_may_be_passed_on(less: dict[str, Any]) -> None:
    check_no_more(key("b", **SAME | less), key("a", **MAKER))


@pytest.mark.parametrize(
    "more",
    [
        {"team": "blue"},
        {"tiers": ["routing", "dear"]},
        {"tiers": None},
        {"agents": ["*"]},
        {"agents": ["write*"]},
        {"agents": ["writer-1", "reader"]},
        {"agents": None},
        {"expires": "2030-01-02"},
        {"expires": None},
    ],
)
def test_more_may_not(more: dict[str, Any]) -> None:
    asked = {field: value for field, value in (SAME | more).items() if value is not None}
    with pytest.raises(KeyExceedsMaker):
        check_no_more(key("b", **asked), key("a", **MAKER))


def test_a_key_that_may_make_none_makes_none() -> None:
    with pytest.raises(KeyExceedsMaker):
        check_no_more(key("b"), key("a"))
