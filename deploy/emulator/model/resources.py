"""What an account keeps beside endpoints: templates, registries, volumes, secrets. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VolumeType = Literal["STANDARD", "HIGH_PERFORMANCE"]
TemplateCategory = Literal["NVIDIA", "AMD", "CPU"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A container's configuration by name; an endpoint copies it once and keeps no link."""

    id: str
    name: str
    image: str
    serverless: bool = False
    args: str = ""
    disk_gb: int = 20
    ports: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    registry: str | None = None
    category: TemplateCategory = "NVIDIA"
    public: bool = False
    start_ssh: bool = True
    start_jupyter: bool = True
    allowed_cuda_versions: tuple[str, ...] = ()
    persistent_mount_gb: int | None = None
    persistent_mount_path: str = ""
    endpoint_id: str | None = None
    """The endpoint with which it goes, where it was made for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The login to a container registry; its name and password are never handed out again."""

    id: str
    name: str
    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """A registry delegation (ECR): the fields as they were sent."""

    id: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkVolume:
    """Storage in one data centre; it only grows."""

    id: str
    name: str
    size_gb: int
    data_center_id: str
    type: VolumeType = "STANDARD"
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A value that environments name as ``{{ RUNPOD_SECRET_name }}``."""

    id: str
    name: str
    value: str = field(repr=False)
    description: str = ""
    created_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Resources:
    """One account's resources by id, in the order in which they were made."""

    templates: dict[str, Template] = field(default_factory=dict)
    registries: dict[str, Registry] = field(default_factory=dict)
    delegations: dict[str, Delegation] = field(default_factory=dict)
    volumes: dict[str, NetworkVolume] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
