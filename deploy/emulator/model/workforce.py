"""The workers of one endpoint: how they start, load, serve, scale down, fail and are replaced."""

from dataclasses import replace
from itertools import islice

from deploy.emulator.model import queue
from deploy.emulator.model.catalogue import DATA_CENTERS, machine_for
from deploy.emulator.model.cold_start import HELD_SECONDS, cold_start, revival_seconds
from deploy.emulator.model.endpoint import Endpoint
from deploy.emulator.model.names import new_id
from deploy.emulator.model.scaling import next_scale_at, wanted_workers
from deploy.emulator.model.vllm_command import is_vllm, words_at_start
from deploy.emulator.model.worker import BEGINNINGS, Worker, WorkerState

RETRY_SECONDS = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""How long an unhealthy worker rests after its first, second, … failure in a row."""
THROTTLED_SECONDS = 10.0
UNROUTABLE_KEPT_SECONDS = 480.0
"""How long a load-balancing worker is kept that cannot be reached on its port."""
GIVE_UP_SECONDS = 7 * 86_400.0
GONE_KEPT = 50
_S = WorkerState


def step(endpoint: Endpoint, now: float) -> None:
    """Every change of a worker that is due by itself."""
    for worker in list(endpoint.workers.values()):
        due = _due_at(endpoint, worker)
        if due is not None and due <= now:
            _proceed(endpoint, worker, now)


def next_at(endpoint: Endpoint) -> float | None:
    """When the next worker changes by itself, or the scaler adds one."""
    due = [at for worker in endpoint.workers.values() if (at := _due_at(endpoint, worker)) is not None]
    scale = next_scale_at(endpoint.config, endpoint.load())
    if scale is not None:
        due.append(scale)
    return min(due, default=None)


def scale(endpoint: Endpoint, now: float) -> None:
    """Start what the scaler wants, stop what is over the maximum."""
    load = endpoint.load()
    for _ in range(wanted_workers(endpoint.config, load, now) - load.live):
        endpoint.last_scaled_at = now
        _add(endpoint, now)
    current = [worker for worker in endpoint.workers.values() if worker.state is not _S.OUTDATED]
    # The least useful go first: what never ran, then what rests, then what serves, the busy ones last of all.
    order = [_S.THROTTLED, _S.UNHEALTHY, _S.INITIALIZING, _S.IDLE, _S.RUNNING]
    current.sort(key=lambda worker: (worker.busy, order.index(worker.state)))
    for worker in islice(current, max(0, len(current) - endpoint.config.workers_max)):
        retire(endpoint, worker, now)


def retire(endpoint: Endpoint, worker: Worker, now: float) -> None:
    """End a worker: at once where it is free, else when its work is done."""
    if worker.busy and worker.state is _S.RUNNING:
        _enter(endpoint, worker, _S.OUTDATED, now)
    elif not worker.busy:
        stop(endpoint, worker, now)


def stop(endpoint: Endpoint, worker: Worker, now: float) -> None:
    """End a worker now; its jobs go back to the queue or fail."""
    _enter(endpoint, worker, _S.STOPPED, now)
    queue.abandon(endpoint, worker, now)
    worker.free_since = None
    del endpoint.workers[worker.id]
    endpoint.gone[worker.id] = worker
    for old in list(endpoint.gone)[:-GONE_KEPT]:
        del endpoint.gone[old]


def crash(endpoint: Endpoint, worker: Worker, now: float, reason: str) -> None:
    """A worker's container ended by itself, or did not come up in time."""
    worker.say(now, reason, "system")
    if worker.state is _S.OUTDATED:
        stop(endpoint, worker, now)
        return
    worker.failures += 1
    rest = RETRY_SECONDS[min(worker.failures, len(RETRY_SECONDS)) - 1]
    _enter(endpoint, worker, _S.UNHEALTHY, now)
    worker.serving = worker.engine_up = False
    worker.started_at = worker.ready_at = worker.free_since = None
    worker.retry_at = now + rest
    queue.abandon(endpoint, worker, now)


def engine_up(endpoint: Endpoint, worker: Worker, now: float) -> None:
    """What runs in a worker's container says that it is up."""
    worker.engine_up = True
    if worker.loading and worker.ready_at is not None and worker.ready_at <= now:
        _serve(endpoint, worker, now)


def revive(endpoint: Endpoint, worker: Worker, now: float) -> None:
    """Start a scaled-down worker again; without a free GPU it is throttled."""
    if endpoint.may_start and not endpoint.faults.no_capacity:
        worker.init_started_at = now
        _start_container(endpoint, worker, now, revived=True)
    else:
        _enter(endpoint, worker, _S.THROTTLED, now)
        worker.retry_at = now + THROTTLED_SECONDS


def worked(worker: Worker, now: float) -> None:
    """Something that a worker did has ended."""
    if worker.serving and not worker.busy:
        worker.free_since = now


def _due_at(endpoint: Endpoint, worker: Worker) -> float | None:
    """When ``_proceed`` has to look at a worker."""
    init_ends = worker.init_started_at + worker.config.init_timeout_seconds
    match worker.state:
        case _S.INITIALIZING:
            return min(worker.pulled_at or 0.0, init_ends)
        case _S.THROTTLED | _S.UNHEALTHY:
            return worker.retry_at
        case _S.IDLE:
            return worker.idle_until
        case _S.OUTDATED:
            return None if worker.busy else worker.since
        case _:
            return _running_due_at(endpoint, worker, init_ends)


def _running_due_at(endpoint: Endpoint, worker: Worker, init_ends: float) -> float | None:
    if worker.loading:
        ready = worker.ready_at or 0.0
        return min(ready, init_ends) if worker.engine_up or endpoint.faults.crash_loop else init_ends
    if worker.config.type == "LOAD_BALANCER" and not worker.config.routable:
        return worker.since + UNROUTABLE_KEPT_SECONDS
    if worker.free_since is None or endpoint.waiting:
        return None
    if len(endpoint.in_state(_S.RUNNING)) <= endpoint.config.workers_min:
        return None
    return worker.free_since + endpoint.config.idle_timeout_seconds


def _proceed(endpoint: Endpoint, worker: Worker, now: float) -> None:
    """Do what is due with a worker."""
    init_ends = worker.init_started_at + worker.config.init_timeout_seconds
    match worker.state:
        case _S.INITIALIZING if init_ends <= now and init_ends < (worker.pulled_at or 0.0):
            crash(endpoint, worker, now, "worker did not initialize in time")
        case _S.INITIALIZING:
            endpoint.images.add(worker.config.image)
            worker.say(now, f"image pull: {worker.config.image}: complete", "system")
            _start_container(endpoint, worker, now)
        case _S.THROTTLED | _S.UNHEALTHY:
            _try_again(endpoint, worker, now)
        case _S.IDLE | _S.OUTDATED:
            stop(endpoint, worker, now)
        case _ if worker.loading:
            _loaded(endpoint, worker, now, init_ends)
        case _ if worker.free_since is not None:
            _scale_down(endpoint, worker, now)
        case _:
            crash(endpoint, worker, now, "worker cannot be reached on its port")


def _loaded(endpoint: Endpoint, worker: Worker, now: float, init_ends: float) -> None:
    ready = worker.ready_at or 0.0
    if ready <= now and endpoint.faults.crash_loop:
        worker.say(now, "RuntimeError: Engine core initialization failed. See root cause above.")
        crash(endpoint, worker, now, "worker exited with exit code 1")
    elif ready <= now and ready <= init_ends and worker.engine_up:
        _serve(endpoint, worker, now)
    else:
        crash(endpoint, worker, now, "worker did not initialize in time")


def _serve(endpoint: Endpoint, worker: Worker, now: float) -> None:
    worker.serving = True
    worker.failures = 0
    worker.say(now, "init engine (profile, create kv cache, warmup model) done")
    worker.say(now, "fitness checks passed")
    if endpoint.config.type == "QUEUE" or worker.config.routable:
        worker.free_since = now


def _try_again(endpoint: Endpoint, worker: Worker, now: float) -> None:
    if worker.state is _S.UNHEALTHY and now >= worker.created_at + GIVE_UP_SECONDS:
        stop(endpoint, worker, now)
    elif endpoint.faults.no_capacity or not endpoint.may_start:
        if worker.state is _S.UNHEALTHY:
            _enter(endpoint, worker, _S.THROTTLED, now)
        worker.retry_at = now + THROTTLED_SECONDS
    else:
        _initialize(endpoint, worker, now)
        _enter(endpoint, worker, _S.INITIALIZING, now)


def _scale_down(endpoint: Endpoint, worker: Worker, now: float) -> None:
    worker.say(now, "worker scaled down after its idle timeout", "system")
    _enter(endpoint, worker, _S.IDLE, now)
    worker.serving = worker.engine_up = False
    worker.started_at = worker.ready_at = worker.free_since = None
    worker.idle_until = now + HELD_SECONDS[worker.config.flashboot]


def _add(endpoint: Endpoint, now: float) -> None:
    """One more live worker: a scaled-down one is revived before a new one is made."""
    for worker in endpoint.in_state(_S.IDLE):
        revive(endpoint, worker, now)
        return
    startable = endpoint.may_start and not endpoint.faults.no_capacity
    number = endpoint.workers_made
    endpoint.workers_made += 1
    places = endpoint.config.data_center_ids or tuple(DATA_CENTERS)
    worker = Worker(
        id=new_id(endpoint.random),
        endpoint_id=endpoint.id,
        version=endpoint.version,
        config=endpoint.config,
        machine=machine_for(endpoint.config, number),
        data_center_id=places[number % len(places)],
        created_at=now,
        state=_S.INITIALIZING if startable else _S.THROTTLED,
        since=now,
        init_started_at=now,
    )
    assert worker.state in BEGINNINGS  # noqa: S101 - the table's beginnings are the only ones
    if startable:
        _initialize(endpoint, worker, now)
    else:
        worker.retry_at = now + THROTTLED_SECONDS
    endpoint.workers[worker.id] = worker
    endpoint.ledger.note(worker, now)


def _initialize(endpoint: Endpoint, worker: Worker, now: float) -> None:
    has_image = worker.config.image in endpoint.images
    start = cold_start(worker.machine, endpoint.faults, endpoint.random, has_image=has_image)
    worker.init_started_at = now
    worker.pulled_at = now + start.pull
    worker.retry_at = None
    worker.say(now, f"image pull: {worker.config.image}: pending", "system")


def _start_container(endpoint: Endpoint, worker: Worker, now: float, *, revived: bool = False) -> None:
    if revived:
        load = revival_seconds(worker.config, worker.machine, endpoint.faults, endpoint.random)
    else:
        load = cold_start(worker.machine, endpoint.faults, endpoint.random, has_image=True).load
    _enter(endpoint, worker, _S.RUNNING, now)
    worker.idle_until = worker.pulled_at = None
    worker.started_at = now
    worker.ready_at = now + load
    worker.engine_up = endpoint.instant_engines
    worker.say(now, "start container", "system")
    for line in words_at_start(worker.config) if is_vllm(worker.config) else ():
        worker.say(now, line)
    worker.say(now, f"Starting to load model {worker.config.served_model}...")


def _enter(endpoint: Endpoint, worker: Worker, state: WorkerState, now: float) -> None:
    worker.enter(state, now)
    endpoint.ledger.note(worker, now)


def roll_over(endpoint: Endpoint, now: float) -> None:
    """Replace every worker of an earlier version: free ones at once, busy ones when they are done."""
    for worker in list(endpoint.workers.values()):
        if worker.version != endpoint.version and worker.state is not _S.OUTDATED:
            retire(endpoint, worker, now)


def adopt(endpoint: Endpoint) -> None:
    """Let workers go on under a configuration that runs the same thing."""
    for worker in endpoint.in_state(*(set(_S) - {_S.OUTDATED})):
        worker.version = endpoint.version
        worker.config = replace(endpoint.config)
