"""What the fields of a deployment must agree on: what Runpod would refuse, or worse, accept."""

from collections.abc import Iterator, Mapping

from tiers.document import EndpointDocument, TierDocument, TierMapDocument
from tiers.fit import weights
from tiers.fleet import EDGE_SECONDS_MAX
from tiers.fleet_document import AppDocument, BalancedAppDocument, DeployDocument, FleetDocument
from tiers.paths import Path
from tiers.problems import Finding, quoted
from tiers.worker_names import any_complaint, complaint

IDLE_SECONDS_MAX = 3600
QUEUE_DELAY_SECONDS_MIN = 0.5
JOB_SECONDS_MIN = 5
_DISK_PER_VCPU = {"cpu5c": 15}
_DISK_PER_VCPU_ELSE = 10
_BALANCED = "runpod-load-balancer"


def findings(document: TierMapDocument) -> Iterator[Finding]:
    """Every disagreement in what is to be deployed."""
    for name, tier in document.tiers.items():
        for index, endpoint in enumerate(tier.endpoints):
            if endpoint.deploy is not None:
                path: Path = ("tiers", name, "endpoints", index)
                yield from _endpoint(path, tier, endpoint, endpoint.deploy)
    if document.fleet is not None:
        yield from _fleet(document.fleet)


def _endpoint(path: Path, tier: TierDocument, endpoint: EndpointDocument, deploy: DeployDocument) -> Iterator[Finding]:
    if endpoint.url is not None:
        yield _finding((*path, "url"), "an endpoint that is deployed has its url from Runpod", "take out url or deploy")
    if endpoint.transport not in {None, "runpod-queue", _BALANCED}:
        remedy = f"write runpod-queue or {_BALANCED}, or take out deploy"
        yield _finding((*path, "transport"), f"{endpoint.transport} is no endpoint of Runpod's", remedy)
    if tier.gpu is None:
        yield _finding((*path, "deploy"), "the tier says no gpu to deploy on", "add gpu: RTX 4090 to the tier")
    yield from _gpus((*path, "deploy", "gpus"), tier, deploy)
    yield from _scaling(path, endpoint, deploy)
    yield from _times(path, endpoint, deploy)
    workers, place = endpoint.workers, (*path, "deploy")
    if deploy.workers_min > workers.max:
        message = f"{deploy.workers_min} workers at least, and {workers.max} at most"
        yield _finding((*place, "workers_min"), message, f"write at most {workers.max}, or raise workers.max")
    if deploy.sequences is not None and deploy.sequences < workers.slots:
        message = f"vLLM computes {deploy.sequences} at once, but a worker takes {workers.slots}"
        yield _finding((*place, "sequences"), message, f"write at least {workers.slots}, or leave it out")
    yield from _environment((*place, "env"), deploy.env)


def _gpus(path: Path, tier: TierDocument, deploy: DeployDocument) -> Iterator[Finding]:
    needed = weights(tier.model, parameters=tier.parameters, bits=tier.weights)
    for index, gpu in enumerate(deploy.gpus):
        if tier.gpu is not None and gpu.name == tier.gpu.name:
            yield _finding((*path, index), f"{gpu.name} is the tier's own", "take it out")
        elif needed is not None and not needed.fit(gpu, tier.gpu_count):
            message = f"the model takes {needed.gib:.1f} GiB, which {gpu.name} does not hold"
            yield _finding((*path, index), message, "take it out, or name a larger one")


def _scaling(path: Path, endpoint: EndpointDocument, deploy: DeployDocument) -> Iterator[Finding]:
    place = (*path, "deploy", "queue_delay")
    if deploy.queue_delay is not None:
        if deploy.requests is not None:
            yield _finding(place, "scales by queue_delay and by requests", "keep one of them")
        if endpoint.transport == _BALANCED:
            yield _finding(place, "a load balancer has no queue", "write requests: N in its place")
        if deploy.queue_delay < QUEUE_DELAY_SECONDS_MIN:
            yield _finding(place, "shorter than Runpod takes", "write at least 500ms")
    elif (
        deploy.requests is not None
        and endpoint.transport != _BALANCED
        and "idle_timeout" in endpoint.workers.model_fields_set
    ):
        yield _finding(
            (*path, "workers", "idle_timeout"),
            "Runpod takes no idle timeout where a queue scales by requests",
            "take it out, or scale by queue_delay",
        )


def _times(path: Path, endpoint: EndpointDocument, deploy: DeployDocument) -> Iterator[Finding]:
    idle = endpoint.workers.idle_timeout
    yield from _idle((*path, "workers", "idle_timeout"), idle)
    if deploy.start_timeout != int(deploy.start_timeout):
        yield _finding((*path, "deploy", "start_timeout"), "no whole number of seconds", "write it as 20m or 900s")
    if deploy.timeout is not None:
        place = (*path, "deploy", "timeout")
        if deploy.timeout < JOB_SECONDS_MIN:
            yield _finding(place, "shorter than Runpod takes", f"write at least {JOB_SECONDS_MIN}s")
        if endpoint.transport == _BALANCED:
            yield from _edge(place, deploy.timeout)


def _fleet(fleet: FleetDocument) -> Iterator[Finding]:
    yield from _environment(("fleet", "env"), fleet.env)
    for name in fleet.secrets:
        if name.upper().startswith("RUNPOD"):
            yield _finding(("fleet", "secrets", name), "names that begin with RUNPOD are Runpod's own", "rename it")
    login = fleet.registry
    if login is not None and (login.username is None) != (login.password is None):
        yield _finding(("fleet", "registry"), "has only one of username and password", "give both, or none")
    volume = fleet.volume
    if volume is not None and fleet.data_centers and volume.data_center not in fleet.data_centers:
        message = f"the volume ties workers to {volume.data_center}, which is not among data_centers"
        yield _finding(("fleet", "volume", "data_center"), message, "add it there, or move the volume")
    for key in ("orchestrator", "batch", "gateway"):
        app: AppDocument | None = getattr(fleet, key)
        if app is not None:
            yield from _app(("fleet", key), app)


def _app(path: Path, app: AppDocument) -> Iterator[Finding]:
    most = app.vcpus * _DISK_PER_VCPU.get(app.cpu, _DISK_PER_VCPU_ELSE)
    if app.disk > most:
        message = f"{app.cpu} with {app.vcpus} vCPUs has at most {most} GB of disk"
        yield _finding((*path, "disk"), message, f"write at most {most}, or take more vCPUs")
    if app.workers_min > app.workers_max:
        message = f"{app.workers_min} workers at least, and {app.workers_max} at most"
        yield _finding((*path, "workers_min"), message, f"write at most {app.workers_max}, or raise workers_max")
    yield from _idle((*path, "idle_timeout"), app.idle_timeout)
    if isinstance(app, BalancedAppDocument):
        yield from _edge((*path, "timeout"), app.timeout)
    for name, value in app.env.items():
        found = any_complaint(name, value)
        if found is None and name in {"PORT", "PORT_HEALTH", "HEALTH_CHECK_PATH"}:
            found = f"{name} is made of port and health_path", f"set those, and take {name} out"
        if found is not None:
            yield _finding((*path, "env", name), *found)


def _environment(path: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    for name, value in environment.items():
        found = complaint(name, value)
        if found is not None:
            yield _finding((*path, name), *found)


def _idle(path: Path, seconds: float) -> Iterator[Finding]:
    if seconds != int(seconds) or seconds > IDLE_SECONDS_MAX:
        message = "Runpod takes whole seconds from 1 to 3600"
        yield _finding(path, message, f"write {quoted(f'{min(max(round(seconds), 1), IDLE_SECONDS_MAX)}s')}")


def _edge(path: Path, seconds: float) -> Iterator[Finding]:
    if seconds > EDGE_SECONDS_MAX:
        remedy = f"write at most {EDGE_SECONDS_MAX:.0f}s, or use a queue"
        yield _finding(path, "Runpod's edge cuts a balanced request sooner", remedy)


def _finding(path: Path, message: str, remedy: str) -> Finding:
    return Finding(path=path, message=message, remedy=remedy)
