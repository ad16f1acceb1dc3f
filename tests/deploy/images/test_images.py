"""What the images hold, proven without building them: by a linter, and by the same installation on this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
IMAGES = sorted((ROOT / "deploy/images").glob("*.Dockerfile"))
USER = 10001
BASE = Path(sys.base_prefix)
HOME_OPENED = f"mount -t tmpfs -o mode=755 none /mnt/root; mkdir -p /mnt{BASE}; mount --bind {BASE} /mnt{BASE}"
"""Where this Python is root's own, nobody else could run it."""
if not BASE.is_relative_to("/root"):
    HOME_OPENED = ""
TIERS = """
version: 1
tiers:
  local: {model: m, price: {input: 1, output: 1}, endpoints: [{url: "http://127.0.0.1:9/v1"}], context: 8192, slots: 1}
keys: [{name: demo, key: env:DEMO_KEY}]
"""


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.stem)
def test_a_linter_finds_nothing(file: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no wheel for this machine")
    done = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.stem)
def test_an_image_runs_as_nobody_and_imports_nothing_from_where_it_is_started(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert f"USER {USER}:{USER}" in text
    assert re.search(
        r'^ENTRYPOINT \["/opt/tiergate/bin/python", "-P", "-m", "(gateway|orchestrator|deploy)"\]$', text, re.MULTILINE
    )
    assert "HEALTHCHECK" in text


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.stem)
def test_all_that_an_image_copies_is_there(file: Path) -> None:
    for line in re.findall(r"^COPY (?!--)(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """A folder with the gateway in ``opt``, made by the image's own steps."""
    wheels = list((ROOT / "dist/compiled").glob("*.whl"))
    if not wheels:
        pytest.skip("there is no wheel to install: make compiled")
    folder = Path(tempfile.mkdtemp(prefix="tiergate-image-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        subprocess.run(
            [ROOT / "deploy/images/install", folder / "opt", ROOT / "locks/gateway.txt", wheels[0]],
            check=True,
            env={**os.environ, "PATH": f"{BASE / 'bin'}:{os.environ['PATH']}"},
        )
        yield folder
    finally:
        shutil.rmtree(folder)


def test_there_is_nothing_to_build_with_and_all_bytecode(installed: Path) -> None:
    [packages] = (installed / "opt/lib").glob("python3.*/site-packages")
    assert not (packages / "pip").exists()
    assert not (packages / "mypy").exists()
    for source in (packages / "gateway").rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source


def test_it_serves_as_nobody_on_a_root_that_is_read_only(installed: Path) -> None:
    """As a container does with --read-only: only its state and /tmp can be written to."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a root that is read-only")
    state = installed / "state"
    state.mkdir()
    os.chown(state, USER, USER)
    (installed / "tiers.yaml").write_text(TIERS, encoding="utf-8")
    script = f"""
      set -e
      mount --make-rprivate /
      mount --bind / /mnt
      mount -o remount,bind,ro /mnt
      mount --bind {state} /mnt{state}
      mount -t tmpfs none /mnt/tmp
      mount --rbind /proc /mnt/proc
      mount --rbind /dev /mnt/dev
      {HOME_OPENED}
      exec chroot --userspec={USER}:{USER} /mnt {installed}/opt/bin/python -P -m gateway serve --port 0
    """
    environment = {
        "TIERGATE_TIERS": str(installed / "tiers.yaml"),
        "TIERGATE_STATE_DIRECTORY": str(state),
        "DEMO_KEY": "sk-demo",
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    }
    command = ["timeout", "--kill-after", "5", "60", "unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as served:
        assert served.stdout is not None
        told = []
        for line in served.stdout:  # ends when it does, which the bound on its time sees to
            told.append(line.decode())
            if b'"gateway.listening"' in line:
                health = httpx.get(f"http://127.0.0.1:{json.loads(line)['port']}/healthz")
                assert health.status_code == httpx.codes.OK
                served.terminate()
    assert served.returncode == 0, "".join(told)
