import subprocess
import sys

import pytest


@pytest.mark.integration
def test_the_package_is_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "deploy", "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert shown.startswith("usage: tiergate-deploy ")
    assert "local" in shown
