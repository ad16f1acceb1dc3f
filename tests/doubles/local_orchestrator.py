"""A stand-in for ``tiergate-orchestrator run``: its "Flow" is two calls to the gateway, one per agent.

Run as a process. The Flow's class says how it goes: ``Fails`` (exit status 1 with a cause), ``Silent`` (calls nobody),
``Mute`` (prints no result), ``Hangs`` (never ends); any other one works. ``DOUBLE_PIDS`` as in the other doubles.
"""

import argparse
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path


def _call(gateway: str, run: str, agent: str) -> None:
    request = urllib.request.Request(
        f"{gateway}/chat/completions",
        data=b"{}",
        headers={
            "authorization": f"Bearer {os.environ['TIERGATE_KEY']}",
            "x-tiergate-run": run,
            "x-tiergate-agent": agent,
        },
    )
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["run"])
    parser.add_argument("flow")
    parser.add_argument("--output", choices=["json"])
    for option in ("--gateway", "--run-id"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    if folder := os.environ.get("DOUBLE_PIDS"):
        (Path(folder) / str(os.getpid())).touch()
    kind = arguments.flow.partition(":")[2]
    if os.environ["TIERGATE_URL"] != arguments.gateway or "TIERGATE_DEMO_KEY" in os.environ:
        sys.stderr.write("the environment is wrong\n")
        return 2
    if kind != "Silent":
        for agent in ("triage", "billing"):
            sys.stderr.write(f"step classify: agent {agent}\n")
            sys.stderr.flush()
            _call(arguments.gateway, arguments.run_id, agent)
    if kind == "Hangs":
        signal.pause()
    if kind == "Fails":
        sys.stderr.write("error: the budget routing-hourly is spent")
        return 1
    if kind != "Mute":
        result = {"run": arguments.run_id, "flow": kind, "status": "completed", "seconds": 3.25}
        sys.stdout.write(json.dumps(result | {"output": "The customer gets a refund.", "state": {}}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
