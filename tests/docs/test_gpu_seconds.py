"""The numbers of ``docs/gpu-seconds.md`` are the code's."""

from fractions import Fraction

import pytest

from gateway.gpu_seconds.books import KEPT_HOURS
from gateway.gpu_seconds.watch import HOLDS_SECONDS, ROUND_SECONDS
from gateway.upstream.runpod_times import RunpodTimes
from tests.docs.markdown import Page, tables
from tiers.meter import Meter
from tiers.worker_seconds import IDLE_TIMEOUT_SECONDS

PAGE = Page("docs/gpu-seconds.md")


def test_the_worked_example_is_what_the_meter_says() -> None:
    [table] = [each for each in tables(PAGE.text) if "A pays" in each.columns]
    written = [float(sum(Fraction(cell) for cell in table.column(f"{name} pays") if cell)) for name in ("A", "B", "C")]
    meter = Meter()
    a = meter.start(0.0)
    b = meter.start(2.0)
    meter.tell(4.0, workers=2, elsewhere=0)
    c = meter.start(4.0)
    shares = [meter.finish(a, 6.0), meter.finish(b, 6.0), meter.finish(c, 7.0)]
    assert shares == pytest.approx(written)
    assert sum(shares) == pytest.approx(9.0)
    assert "A pays {:.3f} s, B {:.3f} s and C {:.3f} s".format(*shares) in PAGE.text


def test_its_times_are_the_codes() -> None:
    times = RunpodTimes()
    assert f"every {ROUND_SECONDS:g} s" in PAGE.text
    assert f"nothing for {HOLDS_SECONDS:g} s" in PAGE.text
    assert f"for {KEPT_HOURS // 24} days" in PAGE.text
    assert f"every {times.health_used:g} s while there is traffic and every {times.health_unused:g} s" in PAGE.text
    assert f"wait for {IDLE_TIMEOUT_SECONDS:g} s" in PAGE.text
