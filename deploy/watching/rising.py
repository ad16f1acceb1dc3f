"""When a delay counts as rising."""

from typing import Final

from deploy.watching.promql import percentile
from deploy.watching.recordings import Layer

LATELY: Final = "15m"
BEFORE: Final = "6h"
TIMES: Final = 2
"""So many times what it was before."""
WAITS_MIN: Final = 5
"""Fewer waits than that in ``LATELY`` tell nothing: one cold start is no trend."""
_SAMPLES: Final = 15


def rising(layer: Layer, *, seconds_min: float) -> str:
    """The delay that nine in ten did not exceed lately, where it is above ``seconds_min`` and twice what it was before.

    Where there was nothing before, what is above ``seconds_min`` counts as risen.
    """
    lately = percentile(90, f"sum_over_time({layer.rates}[{LATELY}])")
    before = percentile(90, f"sum_over_time({layer.rates}[{BEFORE}] offset {LATELY})")
    # Each recorded rate is per second over five minutes; their mean times the seconds is how many there were.
    waits = f'avg_over_time({layer.rates}{{le="+Inf"}}[{LATELY}])'
    enough = f"sum by ({layer.by}) ({waits}) * {_SAMPLES * 60} >= {WAITS_MIN}"
    calm = f"({lately} <= {TIMES} * {before})"
    return f"(({lately} > {seconds_min:g}) unless {calm}) and on ({layer.by}) ({enough})"
