"""Request bodies, exactly as the OpenAPI document has them: nothing is converted, unknown properties are refused.

What a ``PATCH`` leaves out is told from what it sets by ``model_fields_set``: defaults stand only where create
has them too.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from deploy.emulator.model.config import EndpointType, FlashBoot
from deploy.emulator.model.resources import TemplateCategory, VolumeType

CUDA_PATTERN = r"^\d+\.\d+$"
STORED_NAME = r"^[A-Za-z_][A-Za-z0-9_./-]*$"
NAME_LENGTH_MAX = 191
IDLE_TIMEOUT_SECONDS_MAX = 3600
ABSENT: Any = None
"""Stands where an object was not sent: it may be left out, but it may not be null. Never read."""


def _unique(items: list[Any]) -> list[Any]:
    for index, item in enumerate(items):
        if item in items[:index]:
            raise ValueError(f"items at {items.index(item)} and {index} are equal")
    return items


Name = Annotated[str, Field(min_length=1)]
CudaVersion = Annotated[str, StringConstraints(pattern=CUDA_PATTERN)]
CudaFloor = Annotated[str, StringConstraints(pattern=r"^$|^\d+\.\d+$")]
ExcludedType = Annotated[str, StringConstraints(pattern=r"^\s*[^-\s]")]
Gigabytes = Annotated[int, Field(ge=1)]
VolumeGigabytes = Annotated[int, Field(ge=10, le=4096)]


class Body(BaseModel):
    """A JSON object of Runpod's: camelCase outside, strict types, no other properties."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)

    def sets(self, name: str) -> bool:
        """Whether the field (by its name here) was sent."""
        return name in self.model_fields_set


class ContainerBody(Body):
    """What endpoints and templates say about their container."""

    image: str = ""
    args: str = ""
    disk: Gigabytes = 20
    ports: list[str] = []
    env: dict[str, str] = {}
    registry: str | None = None


class QueueDelayBody(Body):
    """Scale on the wait in the queue."""

    type: Literal["QUEUE_DELAY"]
    queue_delay: Annotated[float, Field(ge=0.5)]


class RequestCountBody(Body):
    """Scale on requests in flight."""

    type: Literal["REQUEST_COUNT"]
    request_count: Annotated[int, Field(ge=1)]


ScalingBody = Annotated[QueueDelayBody | RequestCountBody, Field(discriminator="type")]


class GpuBody(Body):
    """The choice of GPUs in a create call."""

    pools: Annotated[list[str], Field(min_length=1)]
    excluded_types: Annotated[list[ExcludedType], AfterValidator(_unique)] = []
    count: Annotated[int, Field(ge=1)] = 1
    allowed_cuda_versions: list[CudaVersion] = []
    min_cuda_version: CudaVersion = ""


class GpuPatchBody(GpuBody):
    """The choice of GPUs in an update: an exclusion needs its pools; ``""`` and ``[]`` clear CUDA constraints."""

    pools: Annotated[list[str], Field(min_length=1)] = []
    min_cuda_version: CudaFloor = ""

    @model_validator(mode="after")
    def _exclusion_has_pools(self) -> "GpuPatchBody":
        if self.sets("excluded_types") and not self.sets("pools"):
            raise ValueError("properties 'pools' required, if 'excludedTypes' exists")
        return self


class CpuBody(Body):
    """One kind of CPU worker."""

    id: Name
    vcpu_count: Annotated[int, Field(ge=2)]


class WorkersBody(Body):
    """How many workers there may be, and how long an idle one stays."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=0)] = 3
    idle_timeout: Annotated[int, Field(ge=1, le=IDLE_TIMEOUT_SECONDS_MAX)] = 10


class EndpointFields(ContainerBody):
    """What create and update have in common."""

    name: Name = ""
    template_id: Name = ""
    gpu: GpuBody = ABSENT
    cpu: Annotated[list[CpuBody], Field(min_length=1), AfterValidator(_unique)] = []
    workers: WorkersBody = WorkersBody()
    scaling: ScalingBody = ABSENT
    timeout: int = 0
    flashboot: FlashBoot = "OFF"
    data_center_ids: list[str] = []
    network_volumes: list[str] = []


class EndpointBody(EndpointFields):
    """``POST /v2/serverless``."""

    name: Name
    type: EndpointType
    scaling: ScalingBody

    @model_validator(mode="after")
    def _has_an_image(self) -> "EndpointBody":
        if not self.sets("image") and not self.sets("template_id"):
            raise ValueError("missing property 'image'")
        return self


class EndpointPatchBody(EndpointFields):
    """``PATCH /v2/serverless/{id}``. The endpoint's ``type`` is not among its properties: it never changes."""

    template_id: str = ""
    gpu: GpuPatchBody = ABSENT


class PersistentMountBody(Body):
    """Storage on a pod's host."""

    size: Annotated[int, Field(ge=10)]
    path: str


class MountsBody(Body):
    """A template's mounts."""

    persistent: PersistentMountBody = ABSENT


class TemplatePatchBody(ContainerBody):
    """``PATCH /v2/templates/{id}``."""

    name: Name = ""
    allowed_cuda_versions: list[CudaVersion] = []
    category: TemplateCategory = "NVIDIA"
    mounts: MountsBody = MountsBody()
    public: bool = False
    serverless: bool = False
    start_jupyter: bool = True
    start_ssh: bool = True


class TemplateBody(TemplatePatchBody):
    """``POST /v2/templates``."""

    name: Name
    image: str


class VolumeBody(Body):
    """``POST /v2/network-volumes``."""

    name: Name
    size: VolumeGigabytes
    data_center: Name
    type: VolumeType = "STANDARD"


class VolumePatchBody(Body):
    """``PATCH /v2/network-volumes/{id}``: its data centre and tier never change."""

    name: Name = ""
    size: VolumeGigabytes = 10

    @model_validator(mode="after")
    def _changes_something(self) -> "VolumePatchBody":
        if not self.model_fields_set:
            raise ValueError("minProperties: got 0, want 1")
        return self


class RegistryBody(Body):
    """``POST /v2/registries``."""

    name: Name
    username: Name
    password: Name


class DelegationBody(Body):
    """``POST /v2/registries/delegations``."""

    resource: str
    name: str | None = None


class SecretPatchBody(Body):
    """``PATCH /v2/secrets/{id}``: its name never changes."""

    value: str = ""
    description: str = ""

    @model_validator(mode="after")
    def _changes_something(self) -> "SecretPatchBody":
        if not self.model_fields_set:
            raise ValueError("minProperties: got 0, want 1")
        return self


class SecretBody(SecretPatchBody):
    """``POST /v2/secrets``."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH_MAX, pattern=STORED_NAME)]
    value: str
