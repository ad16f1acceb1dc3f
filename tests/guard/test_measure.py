"""What the counts of all rounds come to."""

from tests.guard.measure import COUNTED, PAUSE_SECONDS, RATES, SLOW, measured
from tests.guard.rate import Count

SECOND = 1_600_000
REQUEST = {"json": 600_000, "stream": 2_500_000}


def counted(kind: str, requests: int, seconds: float, extra: int = 0) -> Count:
    """A count of a gateway whose requests cost ``REQUEST`` and ``extra``, and whose seconds cost ``SECOND``."""
    instructions = requests * (REQUEST[kind] + extra) + round(seconds * SECOND)
    return Count(instructions=instructions, requests=requests, seconds=seconds)


def test_the_middle_round_stands_at_the_rate_of_its_kind() -> None:
    """One round in which something else happened changes nothing."""
    quick = [counted("json", COUNTED["json"], 1.2, extra) for extra in (0, 2_000, 90_000)]
    slow = [counted("json", SLOW, 0.3 + SLOW * PAUSE_SECONDS, extra) for extra in (0, 2_000, 90_000)]
    streams = [counted("stream", COUNTED["stream"], seconds) for seconds in (0.9, 0.9, 4.5)]
    found = measured(quick, slow, streams)
    assert abs(found.second - SECOND) <= 1
    assert found.figures == {
        "json": REQUEST["json"] + 2_000 + SECOND // RATES["json"],
        "stream": REQUEST["stream"] + SECOND // RATES["stream"],
    }
    assert [len(each) for each in found.rounds.values()] == [3, 3]
