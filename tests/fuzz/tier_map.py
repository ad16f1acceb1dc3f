"""The reader of tier maps: whatever a file holds, it is a tier map or has problems that are told."""

from collections.abc import Sequence

from tiers.load import load
from tiers.problems import Problem, TierMapInvalid


def tier_map(data: bytes) -> None:
    """Each problem has its words, and its place in the file where it has one."""
    problems = problems_of(data)
    assert problems is None or problems
    for problem in problems or ():
        assert problem.message
        assert problem.line >= 1


def problems_of(data: bytes) -> Sequence[Problem] | None:
    """``None`` where it is a tier map. Nothing but ``TierMapInvalid`` may ever be raised."""
    try:
        load(data, file="tiers.yaml")
    except TierMapInvalid as error:
        return error.problems
    return None
