"""Faults on demand."""

from dataclasses import asdict

from deploy.emulator.model.faults import Faults


def test_nothing_is_wrong_unless_asked_for() -> None:
    shapes = {"cold_body", "failed_openai"}
    assert not any(value for name, value in asdict(Faults()).items() if name not in shapes)
