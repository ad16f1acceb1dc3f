"""What a worker may run on: the rules for GPUs, CPUs, data centres and volumes that a schema cannot say.

All are 400: Runpod tells a broken rule and a lack of machines by words alone.
"""

from collections.abc import Mapping, Sequence

from deploy.emulator.control_plane.bodies import CpuBody, GpuBody
from deploy.emulator.control_plane.problems import bad_request
from deploy.emulator.control_plane.stock import Stock
from deploy.emulator.model import catalogue
from deploy.emulator.model.config import CpuChoice, EndpointConfig, GpuChoice
from deploy.emulator.model.resources import NetworkVolume

NO_INSTANCES = (
    "There are no longer any instances available with the requested specifications. Please refresh and try again."
)


def gpu_choice(body: GpuBody, old: GpuChoice | None) -> GpuChoice:
    """The choice of GPUs that a body makes, on top of the one that is there.

    Pools and exclusions are one selection: pools alone clear the exclusions. Setting one CUDA form does not clear
    the other.

    Raises:
        Problem: 400, there is no such selection.
    """
    if body.allowed_cuda_versions and body.min_cuda_version:
        raise bad_request("gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive")
    before = old or GpuChoice(pools=())
    floor = body.min_cuda_version or None
    excluded = tuple(name.strip() for name in body.excluded_types)
    choice = GpuChoice(
        pools=tuple(body.pools) if body.sets("pools") else before.pools,
        excluded_types=excluded if body.sets("pools") else before.excluded_types,
        count=body.count if body.sets("count") else before.count,
        allowed_cuda_versions=(
            tuple(body.allowed_cuda_versions) if body.sets("allowed_cuda_versions") else before.allowed_cuda_versions
        ),
        min_cuda_version=floor if body.sets("min_cuda_version") else before.min_cuda_version,
    )
    _check_gpus(choice)
    return choice


def cpu_choices(bodies: Sequence[CpuBody]) -> tuple[CpuChoice, ...]:
    """The choice of CPUs that a body makes.

    Raises:
        Problem: 400, there is no such machine.
    """
    for body in bodies:
        flavor = catalogue.CPU_FLAVORS.get(body.id)
        if flavor is None:
            raise bad_request(f"cpu flavor {body.id!r} does not exist")
        if body.vcpu_count & (body.vcpu_count - 1) or not flavor.vcpu_min <= body.vcpu_count <= flavor.vcpu_max:
            raise bad_request(
                f"vcpuCount {body.vcpu_count} is not valid for {body.id}: a power of two from {flavor.vcpu_min} "
                f"to {flavor.vcpu_max}"
            )
    return tuple(CpuChoice(id=body.id, vcpu_count=body.vcpu_count) for body in bodies)


def check_disk(config: EndpointConfig) -> None:
    """A CPU worker's disk is bounded by its vCPUs.

    Raises:
        Problem: 400, it is too large.
    """
    for choice in config.cpu:
        most = catalogue.CPU_FLAVORS[choice.id].disk_gb_max_per_vcpu * choice.vcpu_count
        if config.disk_gb > most:
            raise bad_request(f"disk must not exceed {most} GB for {choice.id} with {choice.vcpu_count} vCPUs")


def places(
    data_center_ids: Sequence[str], volume_ids: Sequence[str], volumes: Mapping[str, NetworkVolume]
) -> tuple[str, ...]:
    """The data centres that workers may run in: those that were sent, else those of the volumes, which pin them.

    Raises:
        Problem: 400, one does not exist, or a volume is elsewhere.
    """
    for place in data_center_ids:
        if place not in catalogue.DATA_CENTERS:
            raise bad_request(f"data center {place!r} does not exist")
    for volume_id in volume_ids:
        if volume_id not in volumes:
            raise bad_request(f"network volume {volume_id!r} does not exist")
        if data_center_ids and volumes[volume_id].data_center_id not in data_center_ids:
            raise bad_request(f"network volume {volume_id!r} is not in one of the data centers {list(data_center_ids)}")
    pinned = dict.fromkeys(volumes[volume_id].data_center_id for volume_id in volume_ids)
    return tuple(data_center_ids) or tuple(pinned)


def check_stock(config: EndpointConfig, stock: Stock) -> None:
    """A pinned data centre has a machine to give.

    Raises:
        Problem: 400, none has.
    """
    choices = (config.gpu,) if config.gpu else config.cpu
    if config.data_center_ids and not any(stock.offers(choice, config.data_center_ids) for choice in choices):
        raise bad_request(NO_INSTANCES)


def _check_gpus(choice: GpuChoice) -> None:
    known = catalogue.pools()
    for pool in choice.pools:
        if pool not in known:
            raise bad_request(f"gpu pool {pool!r} does not exist")
    cards = {card.id for card in catalogue.gpu_types().values() if card.pool in choice.pools}
    for excluded in choice.excluded_types:
        if excluded not in cards:
            raise bad_request(f"gpu.excludedTypes: {excluded!r} is not a GPU type in one of the selected pools")
    if not cards - set(choice.excluded_types):
        raise bad_request("gpu.excludedTypes leaves no GPU type in the selection")
