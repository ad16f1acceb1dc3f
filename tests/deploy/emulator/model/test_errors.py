"""Refusals."""

from deploy.emulator.model import errors


def test_every_refusal_can_be_caught_as_one() -> None:
    kinds = (errors.UnknownEndpoint, errors.UnknownWorker, errors.UnknownJob, errors.QuotaExceeded, errors.CannotChange)
    assert all(issubclass(kind, errors.Refused) for kind in kinds)
