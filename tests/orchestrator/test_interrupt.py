"""Ctrl-C ends a run, whatever the Flow makes of it."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.interrupt import interrupted_in_earnest

ROOT = Path(__file__).resolve().parents[2]

STUBBORN = """
import asyncio, sys, time
from orchestrator.interrupt import interrupted_in_earnest

async def swallow() -> None:
    print("begun", flush=True)
    for _ in range(2):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            {then}

async def main() -> None:
    with interrupted_in_earnest(0.1):
        await swallow()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("then", ["pass", "time.sleep(60)"], ids=["cancellation swallowed", "loop stopped"])
def test_a_run_that_will_not_end_is_broken_into(then: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN.format(then=then)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert said == "interrupted\n"


def test_a_run_that_ends_when_cancelled_gets_one_interrupt() -> None:
    """The handler that was there is back afterwards, and no second signal follows."""
    before = signal.getsignal(signal.SIGINT)

    async def cancelled() -> None:
        with interrupted_in_earnest(0.05):
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cancelled())
    assert signal.getsignal(signal.SIGINT) is before
