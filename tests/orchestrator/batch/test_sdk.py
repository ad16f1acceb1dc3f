"""Runpod's SDK as it is loaded; ``test_worker_command`` has how it works."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
BLOCKED = """
import sys
sys.modules["runpod"] = None
from orchestrator.batch.sdk import Sdk, SdkMissing
try:
    Sdk()
except SdkMissing as error:
    print(error)
"""
LOADED = """
import os, pathlib
from orchestrator.batch.sdk import Sdk
with Sdk():
    print(os.environ["RUNPOD_DEBUG_LEVEL"], os.environ["RUNPOD_SKIP_AUTO_SYSTEM_CHECKS"], os.listdir())
"""


def said(program: str, folder: Path, more: Mapping[str, str] = {}) -> str:
    """What a program prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_the_sdk_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    assert said(BLOCKED, tmp_path) == "Runpod's SDK is not installed: pip install 'tiergate[batch]'."


def test_it_is_quiet_checks_nothing_and_leaves_no_file_unless_told_otherwise(tmp_path: Path) -> None:
    if not any(Path(each, "runpod").is_dir() for each in sys.path):
        return
    assert said(LOADED, tmp_path) == "WARN true []"
    assert said(LOADED, tmp_path, {"RUNPOD_DEBUG_LEVEL": "INFO"}) == "INFO true []"
