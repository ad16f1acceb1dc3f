"""Cross-talk and framing under mixed load, by the harness's own check."""

import json
import os
import subprocess
import sys
from typing import Any

from bench.stage import Part, Stage
from bench.system import mock, system
from bench.tier_maps import tier_map

CLIENTS = 64
THOROUGH_SECONDS = 5.0


def measure(stage: Stage) -> dict[str, Any]:
    """Many connections, each answer with an id of its own, hang-ups between them: the counts of what came back."""
    harness = stage.harness
    text = tier_map({"fast": f"http://127.0.0.1:{harness.upstream_port}/v1"})
    seconds = stage.seconds(THOROUGH_SECONDS)
    command = [
        "taskset", "-c", harness.load_core, sys.executable, str(harness.folder / "isolation.py"),
        "--port", str(harness.port), "--secs", str(seconds), "--conns", str(CLIENTS),
    ]  # fmt: skip
    with mock(stage) as upstream, system(stage, text, probe=("fast", harness.key), neighbours=[upstream]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if not done.stdout.strip():
        raise RuntimeError(f"the check did not run: {done.stderr[-400:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    stage.say(f"{found['ok']} whole answers, {found['bad']} bad, {found['errors']} errors, {found['hung up']} hung up")
    return {"ok": found["ok"], "bad": found["bad"], "errors": found["errors"], "hung_up": found["hung up"]}


PART = Part(
    name="isolation",
    title="cross-talk and framing under mixed load with hang-ups",
    seconds=lambda stage: stage.seconds(THOROUGH_SECONDS) + 3,
    measure=measure,
)
