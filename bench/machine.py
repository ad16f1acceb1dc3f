"""Where and what was measured."""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from bench.stage import ROOT

WRITTEN = ("bench/results", "bench/README.md", "README.md")
"""What the bench writes into its checkout."""
_ASK = (
    "import json, sys, gateway.pipeline as p; from importlib.metadata import version; "
    "print(json.dumps({'python': '.'.join(map(str, sys.version_info[:3])), 'tiergate': version('tiergate'),"
    " 'compiled': not p.__file__.endswith('.py')}))"
)


def machine(gateway: Path) -> dict[str, Any]:
    """Cores, kernel, the gateway's Python and version, whether its hot path is compiled, and the source's commit.

    Raises:
        RuntimeError: The gateway's environment cannot be asked.
    """
    asked = subprocess.run(
        [gateway.parent / "python", "-P", "-c", _ASK], capture_output=True, text=True, check=False, cwd="/"
    )
    if asked.returncode:
        raise RuntimeError(f"{gateway} belongs to no environment with a gateway: {asked.stderr[-300:]}")
    told: dict[str, Any] = json.loads(asked.stdout)
    return {"cores": os.cpu_count(), "kernel": platform.release(), "commit": commit(ROOT), **told}


def commit(checkout: Path) -> str:
    """The short name of the commit in ``checkout``, with ``-dirty`` where something else was measured; "" without git.

    What the bench itself writes, results and the tables made of them, is no part of what it measures.
    """
    name = _git(checkout, "describe", "--always")
    changed = _git(checkout, "status", "--porcelain", "--", ".", *(f":!{path}" for path in WRITTEN))
    return f"{name}-dirty" if changed else name


def _git(checkout: Path, *words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False, cwd=checkout).stdout.strip()
