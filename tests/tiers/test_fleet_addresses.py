"""Addresses of deployed endpoints, and how they go with a tier map's text."""

from pathlib import Path

import pytest

from tiers.fleet_addresses import Address, addresses_in, addresses_of, state_file, with_addresses
from tiers.problems import Refused

STATE = (
    '{"version": 1, "endpoints": {"routing/0": {"id": "a", "url": "https://api.runpod.ai/v2/a/", "model": "small"},'
    ' "b/0": {"id": "b", "url": "https://b.test/v1"}}}'
)
FOUND = {"routing/0": Address("https://api.runpod.ai/v2/a", "small"), "b/0": Address("https://b.test/v1")}


def test_the_state_tells_where_endpoints_are_and_what_they_serve() -> None:
    assert addresses_of(STATE) == FOUND


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"endpoints": []}', '{"endpoints": {"a": {}}}', '{"endpoints": {"a": {"url": "ftp://a"}}}'],
)
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        addresses_of(text)


def test_addresses_go_with_the_text_and_are_found_in_it() -> None:
    text = with_addresses(b"version: 1\ntiers: {}", FOUND)
    assert text.startswith(b"version: 1\ntiers: {}\n# ")
    assert addresses_in(text) == addresses_in(text.decode()) == FOUND


def test_without_addresses_the_text_is_itself() -> None:
    assert with_addresses(b"version: 1", {}) == b"version: 1"
    assert addresses_in(b"version: 1") == {}


@pytest.mark.parametrize("tail", [b"{}\nmore: 1\n", b"{\n", b"[1]\n", b"{}", b'{"a": "b"}\n', b'{"a": 1}\n'])
def test_a_comment_that_only_looks_like_it_is_a_comment(tail: bytes) -> None:
    assert addresses_in(b"version: 1\n# deployed by tiergate-deploy: " + tail) == {}


def test_the_state_stands_beside_the_map() -> None:
    assert state_file(Path("a/tiers.yaml")) == Path("a/tiers.fleet.json")
    assert state_file(Path("a/tiers.yaml"), Path("b.json")) == Path("b.json")
