"""Adds Tiergate to the peers' race and runs it: ``race.py HARNESS --target tiergate,envoy,… [options of bench.py]``.

HARNESS is the folder with ``bench.py``, ``targets.py`` and the installed peers. The gateway runs with everything on:
key check, routing, slots and two budgets reserved and settled in a real Redis, records, metrics, the log line.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
GATEWAY = HERE.parent / ".venv/bin/tiergate-gateway"


def main() -> None:
    """Run the race with the arguments that follow the harness's folder."""
    if not sys.argv[1:]:
        sys.exit(__doc__)
    sys.path.insert(0, sys.argv.pop(1))
    bench, targets = import_module("bench"), import_module("targets")

    for name, file in (("tiergate", "tiers.yaml"), ("tiergate-nobudget", "tiers-without-budgets.yaml")):
        targets.TARGETS[name] = targets.Target(
            [
                str(GATEWAY), "serve", "--tiers", str(HERE / file), "--port", str(targets.PORT),
                "--store", f"redis://127.0.0.1:{targets.REDIS}",
            ],
            {"TIERGATE_BENCH_KEY": targets.KEY},
            model="fast",
            redis=True,
            note="everything on" if name == "tiergate" else "everything but budgets",
        )  # fmt: skip
    bench.main()


if __name__ == "__main__":
    main()
