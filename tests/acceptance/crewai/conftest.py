"""A plain CrewAI agent before the gateway; runs in an environment of its own, since CrewAI does not fit the gateway's.

The gateway runs with the interpreter that ``TIERGATE_GATEWAY_PYTHON`` names.
"""

import importlib
import os
import warnings
from importlib.util import find_spec

import pytest

# CrewAI reads these when it is imported. Without them its telemetry looks up hosts, and a REDIS_URL meant for
# something else makes every crew take locks there.
os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_DISABLE_VERSION_CHECK="true")
os.environ.pop("REDIS_URL", None)

if find_spec("crewai") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    with warnings.catch_warnings():
        # Importing CrewAI warns of its own ways, and here a warning is an error.
        warnings.simplefilter("ignore")
        importlib.import_module("crewai")


@pytest.fixture(scope="session")
def gateway_python() -> str:
    """The interpreter that has the gateway installed."""
    python = os.environ.get("TIERGATE_GATEWAY_PYTHON")
    if not python:
        pytest.skip("TIERGATE_GATEWAY_PYTHON does not name an interpreter that has the gateway")
    return python
