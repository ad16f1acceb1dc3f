"""The whole bench in one command: ``python3 bench/run.py HARNESS``.

HARNESS is the folder of the peers' race. Each part writes ``NAME.json`` to the results' folder; after the last one the
report, the plot and the tables in both READMEs are written from what lies there. A part that fails does not stop the
others; the exit status is 1 then.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from bench import http2, isolation, processes, race, scale, soak, streams, tls  # noqa: E402 - a program's own folder is
from bench.harness import Harness  # noqa: E402 - no place to import from
from bench.machine import machine  # noqa: E402 - as above
from bench.report import write_readmes, write_report  # noqa: E402 - as above
from bench.stage import Part, Stage  # noqa: E402 - as above
from bench.tools import draw  # noqa: E402 - as above

PARTS = (race, scale, processes, streams, tls, http2, isolation, soak)


def main() -> int:
    """Run the parts that were asked for; returns the exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="tiergate-bench-") as scratch:
        Path(scratch).chmod(0o755)  # nginx drops its rights and still reads its folder
        stage = Stage(
            harness=Harness.at(options.harness),
            gateway=options.gateway.absolute(),
            rounds=1 if options.quick else options.rounds,
            quick=options.quick,
            soak_minutes=0.5 if options.quick else options.soak_minutes,
            scratch=Path(scratch),
        )
        os.sched_setaffinity(0, {int(stage.harness.load_core)})
        out = options.out or (Path(tempfile.mkdtemp(prefix="tiergate-quick-")) if options.quick else _today())
        out.mkdir(parents=True, exist_ok=True)
        failed = _run(options.only, stage, out)
        write_report(out)
        draw(stage, out)
    if out.parent == ROOT / "bench/results":
        write_readmes()
    print(f"\n{out}/report.md\n\n{(out / 'report.md').read_text(encoding='utf-8')}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _run(parts: list[Part], stage: Stage, out: Path) -> list[str]:
    """Measure ``parts``; the names of those that failed."""
    total = sum(part.seconds(stage) for part in parts)
    print(f"{len(parts)} parts, about {total / 60:.0f} minutes; results go to {out}")
    told = machine(stage.gateway)
    (out / "machine.json").write_text(_json(told), encoding="utf-8")
    build = {"commit": told["commit"], "compiled": told["compiled"]}  # parts may be measured on different days
    failed = []
    for part in parts:
        print(f"\n{part.name}: {part.title} (about {part.seconds(stage):.0f} s)", flush=True)
        began = time.monotonic()
        try:
            found = part.measure(stage)
        except (OSError, RuntimeError, ValueError, ArithmeticError) as error:
            failed.append(part.name)
            print(f"  FAILED: {type(error).__name__}: {error}", flush=True)
            continue
        (out / f"{part.name}.json").write_text(_json(build | found), encoding="utf-8")
        print(f"  done in {time.monotonic() - began:.0f} s", flush=True)
    return failed


def _options() -> argparse.Namespace:
    known = {module.PART.name: module.PART for module in PARTS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("harness", type=Path, metavar="HARNESS", help="the folder of the peers' race, installed")
    parser.add_argument(
        "--only",
        default=list(known.values()),
        type=lambda names: [known[name] for name in names.split(",")],
        metavar="PART,…",
        help=f"some of: {', '.join(known)}",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes to a temporary folder")
    parser.add_argument("--rounds", type=int, default=3, help="how often what is compared takes turns (default 3)")
    parser.add_argument("--soak-minutes", type=float, default=20.0, help="how long the soak lasts (default 20)")
    parser.add_argument(
        "--gateway", type=Path, default=ROOT / ".venv-compiled/bin/tiergate-gateway", help="the program to run"
    )
    parser.add_argument("--out", type=Path, help="the results' folder (default bench/results/DATE)")
    return parser.parse_args()


def _today() -> Path:
    return ROOT / "bench/results" / date.today().isoformat()  # noqa: DTZ011 - the day as the person reads it


def _json(found: object) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
