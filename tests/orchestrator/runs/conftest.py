"""Tests of durable runs: those that need CrewAI are left out where it is not installed."""

from tests.orchestrator.conftest import CREWAI_IS_HERE

collect_ignore_glob = [] if CREWAI_IS_HERE else ["test_*.py"]
