"""Why no worker serves: decided from health counts, as far as they tell."""

from dataclasses import dataclass

from deploy.fleet.answers import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A word for what is wrong, and what to do about it."""

    cause: str
    remedy: str


CRASH_LOOP = Diagnosis(
    cause="crash_loop",
    remedy="read the worker's last lines above: mostly the model's name, its size, a token, or the CUDA version; "
    "set workers.max to 0 until it is mended, so that it costs nothing",
)
NO_CAPACITY = Diagnosis(
    cause="no_capacity",
    remedy="no GPU of that kind is free: name further GPUs or data centers for the endpoint, and apply",
)
PAUSED = Diagnosis(
    cause="paused",
    remedy="its workers.max is 0 (Runpod sets that after 7 days without a request): `tiergate-deploy apply` raises it",
)
NOT_STARTED = Diagnosis(
    cause="quota",
    remedy="Runpod starts no worker: see the account's balance, its limit of spending and its quota of workers",
)
SLOW_START = Diagnosis(
    cause="slow_start",
    remedy="it still starts: give it longer with --wait-seconds, or see in the worker's log how far it is",
)
BUSY = Diagnosis(cause="busy", remedy="its workers are busy with other jobs: raise workers.max, or try again")


def why_no_worker(health: Health, *, workers_max: int) -> Diagnosis:
    """What keeps a job waiting, or a balancer without a worker."""
    workers = health.workers
    if workers_max == 0:
        return PAUSED
    if workers.unhealthy:
        return CRASH_LOOP
    if workers.throttled and not (workers.running or workers.initializing):
        return NO_CAPACITY
    if workers.initializing:
        return SLOW_START
    if workers.running or workers.ready:
        return BUSY if health.jobs.in_progress else SLOW_START
    return NOT_STARTED


def is_hopeless(diagnosis: Diagnosis) -> bool:
    """Whether waiting longer has seldom helped."""
    return diagnosis in {CRASH_LOOP, NO_CAPACITY, PAUSED}


def counted(health: Health) -> str:
    """The counts for people, without those that are 0."""
    workers = {name: count for name, count in health.workers.model_dump().items() if count}
    jobs = {name: count for name, count in health.jobs.model_dump().items() if count}
    return f"workers: {_listed(workers)}; jobs: {_listed(jobs)}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or "none"
