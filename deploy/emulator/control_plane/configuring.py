"""From a body to an endpoint's configuration: what is left out, what a template gives, what may not go together.

What Runpod does and its document does not say, or says otherwise: a create call without ``timeout`` makes it 0, and
``flashboot`` is off by default.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.emulator.control_plane import placement
from deploy.emulator.control_plane.bodies import EndpointBody, EndpointFields, EndpointPatchBody, QueueDelayBody
from deploy.emulator.control_plane.problems import bad_request, not_found, unprocessable
from deploy.emulator.control_plane.stock import Stock
from deploy.emulator.model.config import EndpointConfig, EndpointType, GpuChoice, QueueDelay, RequestCount, Scaling
from deploy.emulator.model.resources import NetworkVolume, Registry, Template

_VLLM_TAG_WITHOUT_V = re.compile(r"runpod/worker-v1-vllm:\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a configuration is checked against.

    Attributes:
        templates: Those that the account may read, by id.
        registries: The account's, by id.
        volumes: The account's, by id.
        stock: Where which machines are free.
        missing_images: Images whose tag does not exist.
    """

    templates: Mapping[str, Template]
    registries: Mapping[str, Registry]
    volumes: Mapping[str, NetworkVolume]
    stock: Stock
    missing_images: Container[str] = ()


def created(body: EndpointBody, around: Surroundings) -> EndpointConfig:
    """The configuration that a create call asks for.

    Raises:
        Problem: 400, 404 or 422: it cannot be had.
    """
    if body.sets("gpu") == body.sets("cpu"):
        raise bad_request("exactly one of gpu or cpu must be specified")
    template = _template(body, around)
    gpu = placement.gpu_choice(body.gpu, None) if body.sets("gpu") else None
    if gpu and template and not body.gpu.sets("allowed_cuda_versions") and not gpu.min_cuda_version:
        gpu = replace(gpu, allowed_cuda_versions=template.allowed_cuda_versions)
    bare = EndpointConfig(
        name=body.name,
        type=body.type,
        image="",
        scaling=_scaling(body, body.type),
        gpu=gpu,
        cpu=placement.cpu_choices(body.cpu),
    )
    return _checked(replace(bare, **_container(body, template), **_operation(body, bare, around)), body, around)


def patched(old: EndpointConfig, body: EndpointPatchBody, around: Surroundings) -> EndpointConfig:
    """The configuration after an update: only what was sent changes, but ``env`` is replaced as a whole.

    Raises:
        Problem: 400, 404 or 422: it cannot be had.
    """
    if body.sets("gpu") and (body.sets("cpu") or old.gpu is None):
        raise bad_request("gpu cannot be set on a CPU endpoint: its compute family is immutable")
    if body.sets("cpu") and old.gpu is not None:
        raise bad_request("cpu cannot be set on a GPU endpoint: its compute family is immutable")
    gpu: GpuChoice | None = placement.gpu_choice(body.gpu, old.gpu) if body.sets("gpu") else old.gpu
    changed = replace(
        old,
        name=body.name if body.sets("name") else old.name,
        scaling=_scaling(body, old.type) if body.sets("scaling") else old.scaling,
        gpu=gpu,
        cpu=placement.cpu_choices(body.cpu) if body.sets("cpu") else old.cpu,
        **_container(body, _template(body, around)),
        **_operation(body, old, around),
    )
    return _checked(changed, body, around)


def idle_timeout_applies(type_: EndpointType, scaling: Scaling) -> bool:
    """Whether an endpoint has an idle timeout of its own."""
    return type_ == "LOAD_BALANCER" or isinstance(scaling, QueueDelay)


def _template(body: EndpointFields, around: Surroundings) -> Template | None:
    if not body.sets("template_id"):
        return None
    template = around.templates.get(body.template_id)
    if template is None:
        raise not_found("template")
    if not template.serverless:
        raise unprocessable("$.templateId: must be a serverless template")
    return template


def _scaling(body: EndpointFields, type_: EndpointType) -> Scaling:
    if isinstance(body.scaling, QueueDelayBody):
        if type_ == "LOAD_BALANCER":
            raise unprocessable(
                "$.scaling.type: value must be 'REQUEST_COUNT'",
                "$.scaling: additional properties 'queueDelay' not allowed",
                "$.scaling: missing property 'requestCount'",
            )
        return QueueDelay(seconds=body.scaling.queue_delay)
    return RequestCount(requests=body.scaling.request_count)


def _container(body: EndpointFields, template: Template | None) -> dict[str, Any]:
    """The container's fields: the template's, once and without a link, under the body's; ``env`` merges per key."""
    fields: dict[str, Any] = {}
    if template:
        fields = {
            "image": template.image,
            "args": template.args,
            "disk_gb": template.disk_gb,
            "ports": template.ports,
            "env": dict(template.env),
            "registry": template.registry,
        }
    if body.sets("image"):
        fields["image"] = body.image
    if body.sets("args"):
        fields["args"] = body.args
    if body.sets("disk"):
        fields["disk_gb"] = body.disk
    if body.sets("ports"):
        fields["ports"] = tuple(body.ports)
    if body.sets("env"):
        fields["env"] = fields.get("env", {}) | body.env
    if body.sets("registry"):
        fields["registry"] = body.registry
    return fields


def _operation(body: EndpointFields, old: EndpointConfig, around: Surroundings) -> dict[str, Any]:
    """Workers, timeout, FlashBoot, places."""
    fields: dict[str, Any] = {}
    workers = body.workers
    if workers.sets("min"):
        fields["workers_min"] = workers.min
    if workers.sets("max"):
        fields["workers_max"] = workers.max
    if workers.sets("idle_timeout"):
        fields["idle_timeout_seconds"] = workers.idle_timeout
    if body.sets("timeout"):
        fields["timeout_ms"] = body.timeout
    if body.sets("flashboot"):
        fields["flashboot"] = body.flashboot
    if body.sets("network_volumes"):
        fields["network_volume_ids"] = tuple(body.network_volumes)
    if body.sets("network_volumes") or body.sets("data_center_ids"):
        sent = body.data_center_ids if body.sets("data_center_ids") else old.data_center_ids
        volume_ids = fields.get("network_volume_ids", old.network_volume_ids)
        fields["data_center_ids"] = placement.places(sent, volume_ids, around.volumes)
    return fields


def _checked(config: EndpointConfig, body: EndpointFields, around: Surroundings) -> EndpointConfig:
    if body.workers.sets("idle_timeout") and not idle_timeout_applies(config.type, config.scaling):
        raise unprocessable("$.workers.idleTimeout: not applicable to queue-based endpoints scaling on REQUEST_COUNT")
    if config.workers_min > config.workers_max:
        raise bad_request("workers.min must not exceed workers.max")
    if config.timeout_ms < 0:
        raise bad_request("timeout must not be negative")
    if config.registry is not None and config.registry not in around.registries:
        raise bad_request("registry does not exist")
    if body.sets("image") or body.sets("template_id"):
        check_image(config.image, around.missing_images)
    placement.check_disk(config)
    if body.sets("gpu") or body.sets("cpu") or body.sets("data_center_ids") or body.sets("network_volumes"):
        placement.check_stock(config, around.stock)
    return config


def check_image(image: str, missing: Container[str]) -> None:
    """An image has to exist; Runpod's vLLM worker has tags that begin with ``v``.

    Raises:
        Problem: 422, it does not.
    """
    if not image or image in missing or _VLLM_TAG_WITHOUT_V.match(image):
        raise unprocessable(f"$.image: image {image!r} does not exist")
