"""The clock is the machine's."""

import time

from orchestrator.clock import unix


def test_it_tells_unix_seconds() -> None:
    assert abs(unix() - time.time()) < 5
