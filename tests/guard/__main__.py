"""``python -m tests.guard``: fail where the gateway executes more instructions per request than it may."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.guard.bounds import Interpreter, judge, read, renewed, written
from tests.guard.callgrind import CallgrindFailed, require
from tests.guard.measure import measure

BOUNDS = Path(__file__).with_name("bounds.toml")
_PROBE = """
import json, platform, gateway.pipeline
version = platform.python_version_tuple()
print(json.dumps({
    "minor": ".".join(version[:2]), "machine": platform.machine(),
    "build": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
    "code": gateway.pipeline.__file__,
}))
"""


def main() -> int:
    """Count, judge, print; 0 where every figure keeps its bound, 1 where one does not, 2 where nothing was counted."""
    arguments = _parser().parse_args()
    try:
        require(shutil.which)
        # Made absolute and not resolved: an environment's interpreter is a link, and what it links to has no gateway.
        python = arguments.python.absolute()
        interpreter, code = _asked(python)
        _say(f"{interpreter.build}; the gateway's code is {code}")
        measured = measure(python, profiles=arguments.profiles)
    except (CallgrindFailed, OSError, ValueError, subprocess.SubprocessError) as error:
        _say(f"Nothing could be counted: {error}")
        return 2
    for kind, figures in measured.rounds.items():
        _say(f"{kind}: {', '.join(f'{figure:,}' for figure in figures)}; the median stands")
    _say(f"what a second costs by itself, shared among the requests: {measured.second:,}")
    bounds = read(BOUNDS.read_text(encoding="utf-8"))
    if arguments.renew:
        BOUNDS.write_text(written(renewed(bounds, interpreter, measured.figures)), encoding="utf-8")
        _say(f"{BOUNDS.name} has these figures for {interpreter.name} now.")
        return 0
    verdict = judge(bounds, interpreter, measured.figures)
    for line in verdict.lines:
        _say(line)
    return 0 if verdict.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.guard", description=__doc__)
    parser.add_argument(
        "--python", type=Path, required=True, help="the interpreter of the environment whose installed gateway counts"
    )
    parser.add_argument("--renew", action="store_true", help="set this interpreter's bounds by what is measured now")
    parser.add_argument("--profiles", type=Path, metavar="FOLDER", help="keep callgrind's profiles, as KIND.callgrind")
    return parser


def _asked(python: Path) -> tuple[Interpreter, str]:
    """The interpreter, and the file that its gateway's pipeline is."""
    done = subprocess.run([python, "-P", "-c", _PROBE], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CallgrindFailed(f"{python} has no gateway installed: {done.stderr.strip()}")
    told = json.loads(done.stdout)
    return Interpreter(minor=told["minor"], machine=told["machine"], build=told["build"]), told["code"]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
