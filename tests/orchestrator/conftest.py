"""What every orchestrator test needs: a quiet CrewAI that writes nothing into the home folder, and a chat server.

CrewAI must find its environment before it is imported, so this happens here and not in a fixture.
"""

import importlib.util
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator.client import close_async_clients
from orchestrator.settings import Secret, Settings, bind, prepare_crewai
from tests.doubles.chat_server import ChatServer

HOME = Path(tempfile.mkdtemp(prefix="tiergate-tests-home-"))
CREWAI_IS_HERE = importlib.util.find_spec("crewai") is not None

# The gateway's environment has no CrewAI, on purpose: there these tests are left out, and the header says so.
collect_ignore_glob = [] if CREWAI_IS_HERE else ["test_*.py"]

if CREWAI_IS_HERE:
    os.environ["HOME"] = str(HOME)
    prepare_crewai()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrewAI's own imports warn; ours come later and stay strict
        importlib.import_module("crewai")

# CrewAI reads its own deprecated fields; every other warning stays an error.
FOREIGN_WARNINGS = (r"ignore::DeprecationWarning:crewai\..*",)


def pytest_report_header() -> str:
    return "orchestrator: " + ("with CrewAI" if CREWAI_IS_HERE else "left out, CrewAI is not installed here")


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/orchestrator/" in item.path.as_posix():
            for warning in FOREIGN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A chat server that says "Fine." until a test gives it another script."""
    with ChatServer() as server:
        yield server


@pytest.fixture(autouse=True)
async def closed_clients() -> AsyncIterator[None]:
    """What a test opened on its event loop is closed before the loop is."""
    yield
    await close_async_clients()


@pytest.fixture
def settings(server: ChatServer) -> Iterator[Settings]:
    """Settings that point at ``server``, bound for the test."""
    settings = Settings(url=server.url, key=Secret("sk-test-key"))
    with bind(settings):
        yield settings
