"""The checked document → the ``Fleet`` that is to be deployed."""

from types import MappingProxyType
from typing import Any, Literal

from tiers.document import EndpointDocument, TierDocument, TierMapDocument
from tiers.fit import weights
from tiers.fleet import EDGE_SECONDS_MAX, App, Deployment, EndpointType, Fleet, RegistryLogin, Scaling, Volume
from tiers.fleet_document import AppDocument, BalancedAppDocument, DeployDocument, FleetDocument, QueueAppDocument

QUEUE_DELAY_SECONDS = 4.0
"""Runpod's own."""


def fleet_of(document: TierMapDocument) -> Fleet:
    """What a document that ``tiers.load`` found no problem in has deployed; nothing where it says nothing of it."""
    form = document.fleet or FleetDocument()
    return Fleet(
        name=form.name,
        quota=form.quota,
        registry=None if form.registry is None else RegistryLogin(**dict(form.registry)),
        volume=None
        if form.volume is None
        else Volume(name=form.volume.name, size_gb=form.volume.size, data_center=form.volume.data_center),
        secrets=MappingProxyType(form.secrets),
        deployments=tuple(
            _deployment(f"{name}/{index}", tier, endpoint, endpoint.deploy, form)
            for name, tier in document.tiers.items()
            for index, endpoint in enumerate(tier.endpoints)
            if endpoint.deploy is not None
        ),
        apps=tuple(_apps(form)),
    )


def _deployment(
    key: str, tier: TierDocument, endpoint: EndpointDocument, deploy: DeployDocument, fleet: FleetDocument
) -> Deployment:
    if tier.gpu is None:
        raise ValueError("a tier that is deployed on nothing")
    kind: EndpointType = "LOAD_BALANCER" if endpoint.transport == "runpod-load-balancer" else "QUEUE"
    needed = weights(tier.model, parameters=tier.parameters, bits=tier.weights)
    timeout = deploy.timeout or tier.timeouts.total
    return Deployment(
        key=key,
        tier=key.rpartition("/")[0],
        type=kind,
        image=deploy.image or (fleet.worker if kind == "QUEUE" else fleet.balanced_worker),
        model=tier.model,
        repository=deploy.repository or tier.model,
        revision=deploy.revision,
        context=tier.context,
        slots=endpoint.workers.slots,
        gpus=(tier.gpu, *deploy.gpus),
        gpu_count=tier.gpu_count,
        weights_gib=None if needed is None else needed.gib,
        workers_min=deploy.workers_min,
        workers_max=endpoint.workers.max,
        idle_seconds=int(endpoint.workers.idle_timeout),
        scaling=_scaling(kind, deploy, endpoint.workers.slots),
        timeout_seconds=timeout if kind == "QUEUE" else min(timeout, EDGE_SECONDS_MAX),
        flashboot=deploy.flashboot,
        cuda_min=deploy.cuda,
        disk_gb=deploy.disk,
        start_seconds=int(deploy.start_timeout),
        data_centers=tuple(fleet.data_centers if deploy.data_centers is None else deploy.data_centers),
        dtype=deploy.dtype,
        memory_percent=deploy.memory_percent,
        quantization=deploy.quantization,
        force_quantization=deploy.force_quantization,
        kv_cache=deploy.kv_cache,
        prefix_caching=deploy.prefix_caching,
        tool_parser=deploy.tool_parser,
        reasoning_parser=deploy.reasoning_parser,
        sequences=deploy.sequences,
        env=MappingProxyType({**fleet.env, **deploy.env}),
    )


def _scaling(kind: EndpointType, deploy: DeployDocument, slots: int) -> Scaling:
    if kind == "LOAD_BALANCER":
        return Scaling(requests=deploy.requests or slots)
    if deploy.requests is not None:
        return Scaling(requests=deploy.requests)
    return Scaling(queue_delay=deploy.queue_delay or QUEUE_DELAY_SECONDS)


def _apps(fleet: FleetDocument) -> list[App]:
    found = []
    if fleet.orchestrator is not None:
        found.append(_balanced("orchestrator", fleet.orchestrator, fleet))
    if fleet.batch is not None:
        found.append(_queued(fleet.batch, fleet))
    if fleet.gateway is not None:
        found.append(_balanced("gateway", fleet.gateway, fleet))
    return found


def _balanced(key: Literal["orchestrator", "gateway"], form: BalancedAppDocument, fleet: FleetDocument) -> App:
    return App(
        key=key,
        type="LOAD_BALANCER",
        timeout_seconds=form.timeout,
        port=form.port,
        health_path=form.health_path,
        **_common(form, fleet),
    )


def _queued(form: QueueAppDocument, fleet: FleetDocument) -> App:
    return App(key="batch", type="QUEUE", timeout_seconds=form.timeout, **_common(form, fleet))


def _common(form: AppDocument, fleet: FleetDocument) -> dict[str, Any]:
    return {
        "image": form.image,
        "cpu": form.cpu,
        "vcpus": form.vcpus,
        "disk_gb": form.disk,
        "workers_min": form.workers_min,
        "workers_max": form.workers_max,
        "idle_seconds": int(form.idle_timeout),
        "scaling": Scaling(requests=form.requests),
        "flashboot": form.flashboot,
        "data_centers": tuple(fleet.data_centers if form.data_centers is None else form.data_centers),
        "env": MappingProxyType(form.env),
    }
