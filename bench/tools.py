"""The environment with what only the bench needs: a plotting library and two HTTP/2 clients."""

import os
import subprocess
import sys
from pathlib import Path

from bench.stage import ROOT, Stage


def site(stage: Stage) -> Path:
    """The packages' folder, made where it is missing: beside the peers, for the gateway's version of Python.

    Raises:
        OSError: The packages cannot be installed.
    """
    wanted = ROOT / "bench/requirements.txt"
    tag = subprocess.run(
        [stage.python, "-c", "import sys; print(sys.implementation.cache_tag)"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    folder = stage.harness.folder / "envs" / f"bench-{tag}"
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted.read_text(encoding="utf-8"):
        stage.say(f"installing {wanted.name} into {folder}")
        install = [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(stage.python),
            "install", "-q", "--upgrade", "--target", str(folder), "-r", str(wanted),
        ]  # fmt: skip
        if subprocess.run(install, check=False).returncode:
            raise OSError(f"{wanted.name} cannot be installed into {folder}")
        stamp.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def environment(stage: Stage) -> dict[str, str]:
    """This process's variables, and the way to the packages; the gateway's own environment stands behind them."""
    return {**os.environ, "PYTHONPATH": str(site(stage))}


def draw(stage: Stage, out: Path) -> None:
    """Draw ``plot.svg`` from the results in ``out``; where the plotting library cannot be had, say so."""
    try:
        command = [str(stage.python), "-P", str(ROOT / "bench/plot.py"), str(out)]
        done = subprocess.run(command, env=environment(stage), check=False).returncode == 0
    except OSError as error:
        stage.say(str(error))
        done = False
    if not done:
        stage.say("no plot was drawn")
