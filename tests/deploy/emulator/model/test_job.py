"""Jobs."""

import pytest

from deploy.emulator.model.job import ImpossibleJobTransition, Job, JobStatus, Policy
from tests.deploy.emulator.worlds import START


def job(*, sync: bool = False, policy: Policy | None = None) -> Job:
    return Job(
        id="j",
        endpoint_id="e",
        input={"a": 1},
        policy=policy or Policy(),
        sync=sync,
        created_at=START,
        queued_at=START,
    )


def test_a_job_goes_only_along_its_table() -> None:
    made = job()
    with pytest.raises(ImpossibleJobTransition, match="IN_QUEUE → COMPLETED"):
        made.enter(JobStatus.COMPLETED)
    made.enter(JobStatus.IN_PROGRESS)
    made.enter(JobStatus.COMPLETED)
    assert not made.open
    with pytest.raises(ImpossibleJobTransition):
        made.enter(JobStatus.IN_QUEUE)


def test_what_does_not_apply_is_left_out_of_its_answer() -> None:
    made = job()
    assert made.answer(START) == {"id": "j", "status": "IN_QUEUE"}
    made.enter(JobStatus.IN_PROGRESS)
    made.started_at, made.worker_id = START + 2.5, "w"
    assert made.answer(START + 9) == {"delayTime": 2500, "id": "j", "status": "IN_PROGRESS", "workerId": "w"}
    made.enter(JobStatus.FAILED)
    made.ended_at, made.error, made.retries = START + 4, "broken", 1
    told = made.answer(START + 9)
    assert (told["executionTime"], told["error"], told["retries"]) == (1500, "broken", 1)
    assert "output" not in told


@pytest.mark.parametrize(("sync", "seconds"), [(True, 60), (False, 1800)])
def test_a_result_is_kept_for_a_while(sync: bool, seconds: int) -> None:
    made = job(sync=sync)
    made.ended_at = START + 100
    assert made.expires_at == START + 100 + seconds


def test_the_ttl_is_hard() -> None:
    """It covers queue, run and keeping."""
    made = job(policy=Policy(ttl_ms=10_000))
    assert made.expires_at == START + 10
    made.ended_at = START + 5
    assert made.expires_at == START + 10
