"""How many files the gateway may have open."""

import resource
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.descriptors import RESERVE, UNLIMITED, allow_descriptors, connections_max, raise_limit, wanted
from tests.gateway.samples import tier_map, token_tier


@pytest.fixture(autouse=True)
def limit() -> Iterator[tuple[int, int]]:
    """The limits of this process, which are the same again afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Reported:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, /, **keys: object) -> None:
        """As ``gateway.descriptors.Report``."""
        self.events.append((name, keys))


def test_the_limit_is_raised_as_far_as_the_system_allows(limit: tuple[int, int]) -> None:
    """Who starts it need not have asked for more."""
    _, hard = limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert raise_limit() == (UNLIMITED if hard == resource.RLIM_INFINITY else hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_limit_that_cannot_be_raised_stays(limit: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway serves with what it has."""
    _, hard = limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    def refuse(*_: object) -> None:
        raise ValueError

    with monkeypatch.context() as patched:
        patched.setattr(resource, "setrlimit", refuse)
        assert raise_limit() == 256


def test_two_files_are_wanted_for_each_slot() -> None:
    """One to the client, one to the endpoint; and some more."""
    tiers = tier_map(token_tier("routing", slots=3), token_tier("reasoning", slots=5))
    assert wanted(tiers) == 2 * 8 + RESERVE


def test_each_connection_leaves_room_for_one_to_an_endpoint(
    limit: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a bound of the server's own; and a process that may open next to nothing still serves one."""
    _, hard = limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    assert connections_max(1000) == (400 - RESERVE) / 2
    assert connections_max(10) == 10
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    assert connections_max(1000) == 1
    with monkeypatch.context() as patched:
        patched.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
        assert connections_max(1000) == 1000


@pytest.mark.parametrize("slots", [1, 10**12], ids=["few", "many"])
def test_a_limit_that_is_too_low_for_the_slots_is_told(slots: int, limit: tuple[int, int]) -> None:
    """With both numbers, and only then."""
    reported = Reported()
    tiers = tier_map(token_tier(slots=slots))
    allow_descriptors(tiers, reported)
    if slots == 1 or limit[1] == resource.RLIM_INFINITY:
        assert reported.events == []
    else:
        assert reported.events == [("descriptors.few", {"allowed": limit[1], "wanted": wanted(tiers)})]
