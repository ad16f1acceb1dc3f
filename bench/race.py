"""The peers' race with Tiergate in it: the gateway's CPU time per request beside other gateways', in one run.

By itself: ``race.py HARNESS [--gateway PROGRAM] --target tiergate,envoy,… [options of the harness's bench.py]``.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [str(ROOT), *(folder for folder in sys.path if Path(folder).resolve() != ROOT / "bench")]

from bench.harness import Harness  # noqa: E402 - a program's own folder is no place to import from
from bench.stage import Part, Stage  # noqa: E402 - as above
from bench.tier_maps import KEY_VARIABLE, tier_map  # noqa: E402 - as above

TARGETS = ("direct", "tiergate", "tiergate-nobudget", "nginx-deb", "envoy", "vllm-router", "portkey", "litellm")
SCENARIOS = ("json_c64", "think50_c64", "paced_c64")
KEPT = (
    "target", "scenario", "round", "n", "errors", "non200", "rps", "cpu_us", "gw_util", "other_cpu",
    "rss", "p50", "p95", "p99", "ttft_p50", "ttft_p99",
)  # fmt: skip
"""What is kept of each row."""


def measure(stage: Stage) -> dict[str, Any]:
    """Run the race as a program of its own; the rows of all targets, scenarios and rounds."""
    out = stage.scratch / "race.json"
    stage.harness.claim(stage.harness.port, stage.harness.upstream_port, stage.harness.store_port)
    targets = [target for target in TARGETS if not (stage.quick and target == "litellm")]
    command = [
        sys.executable, __file__, str(stage.harness.folder), "--gateway", str(stage.gateway),
        "--target", ",".join(targets), "--rounds", str(stage.rounds), "--set", ",".join(SCENARIOS), "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "SECS_X": "0.34"} if stage.quick else None
    with subprocess.Popen(command, env=environment) as racing:
        try:
            racing.wait()
        except BaseException:
            racing.terminate()  # it stops what it started
            racing.wait()
            raise
    found = json.loads(out.read_text(encoding="utf-8"))
    rows = [{field: row[field] for field in KEPT if field in row} for row in found["rows"]]
    return {"rows": rows, "failed": found["failed"]}


def _seconds(stage: Stage) -> float:
    return 100 if stage.quick else 20 + stage.rounds * (7 * 17 + 55)


PART = Part(
    name="race", title="the race with the peers: CPU per request, added latency", seconds=_seconds, measure=measure
)


def main() -> None:
    """Run the race with the arguments that follow the harness's folder."""
    if not sys.argv[1:]:
        sys.exit(__doc__)
    harness = Harness.at(Path(sys.argv.pop(1)))
    gateway = ROOT / ".venv-compiled/bin/tiergate-gateway"
    if sys.argv[1:2] == ["--gateway"]:
        gateway = Path(sys.argv[2])
        del sys.argv[1:3]
    targets, url = harness.targets, f"http://127.0.0.1:{harness.upstream_port}/v1"
    with tempfile.TemporaryDirectory(prefix="tiergate-race-") as folder:
        for name, budgets in (("tiergate", True), ("tiergate-nobudget", False)):
            file = Path(folder, f"{name}.yaml")
            file.write_text(tier_map({"fast": url}, budgets=budgets), encoding="utf-8")
            targets.TARGETS[name] = targets.Target(
                [
                    str(gateway.absolute()), "serve", "--tiers", str(file), "--port", str(harness.port),
                    "--store", f"redis://127.0.0.1:{harness.store_port}",
                ],
                {KEY_VARIABLE: harness.key},
                model="fast",
                redis=True,
                note="everything on" if budgets else "everything but budgets",
            )  # fmt: skip
        harness.bench.main()


if __name__ == "__main__":
    main()
