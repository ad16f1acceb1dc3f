"""The units, by systemd's own tools where they are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[3] / "deploy/systemd").glob("*.service"))
EXPOSURE_MAX = 2.5
"""Of systemd's 10; below 4.5 it says "OK"."""


@pytest.fixture
def analyze() -> str:
    """The program."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd is not installed")
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda file: file.stem)
def test_systemd_understands_all_of_it(unit: Path, analyze: str, tmp_path: Path) -> None:
    """But for the program itself, which is not installed here."""
    copy = tmp_path / unit.name
    text = re.sub(r"/opt/[a-z-]+/bin/python", shutil.which("sh") or "", unit.read_text(encoding="utf-8"))
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run([analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda file: file.stem)
def test_it_is_shut_off_from_what_it_needs_not(unit: Path, analyze: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True, check=False
    )
    told = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    if told is None:
        pytest.skip("this systemd cannot judge a unit offline")
    assert float(told[1]) <= EXPOSURE_MAX
