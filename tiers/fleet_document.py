"""The form of what a tier map deploys: ``fleet`` on top, and ``deploy`` of an endpoint.

What several fields must agree on is in ``tiers.fleet_rules``, the names of variables in ``tiers.worker_names``.
"""

from typing import Annotated, Literal

from pydantic import Field

from tiers.fields import GpuName, ModelName, PositiveDuration, SecretName
from tiers.fleet import (
    BALANCED_IMAGE,
    CUDA_MIN,
    EDGE_SECONDS_MAX,
    NAME,
    PORT,
    QUOTA,
    WORKER_IMAGE,
)
from tiers.form import Form, Text

FlashBootName = Literal["standard", "priority", "none"]
Places = Annotated[list[Text], Field(max_length=50)]
Environment = Annotated[dict[str, Annotated[str, Field(max_length=10_000)]], Field(max_length=200)]
Image = Annotated[str, Field(pattern=r"^[^\s@:]+(:\d+/[^\s:@]+)?(:[^\s:@/]+)(@sha256:[0-9a-f]{64})?$", max_length=500)]
_ENVIRONMENT_EXAMPLE = {"HUGGING_FACE_HUB_TOKEN": "{{ RUNPOD_SECRET_hf_token }}"}


class DeployDocument(Form):
    """What is to stand behind an endpoint of a tier: vLLM on Runpod. The tier's own fields say the rest."""

    repository: ModelName | None = Field(
        default=None,
        description="Where the weights come from: a Hugging Face repository or a path; the tier's `model` if left out.",
        examples=["hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"],
    )
    revision: Text | None = Field(
        default=None,
        description="The repository's commit, branch or tag.",
        examples=["0e9e39f249a16976918f6564b8830bc"],
    )
    image: Image | None = Field(
        default=None,
        description="The worker's image, with its tag; the fleet's if left out.",
        examples=["runpod/worker-v1-vllm:v2.25.2"],
    )
    gpus: Annotated[list[GpuName], Field(max_length=10)] = Field(
        default=[],
        description="GPUs that may stand in where there is none of the tier's, in this order.",
        examples=[["L4", "RTX A5000"]],
    )
    data_centers: Places | None = Field(
        default=None,
        description="Where workers may run; the fleet's if left out, anywhere with an empty list.",
        examples=[["EU-RO-1", "US-KS-2"]],
    )
    workers_min: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0, description="Workers that always run, and are always paid.", examples=[1]
    )
    queue_delay: PositiveDuration | None = Field(
        default=None,
        description="A worker is added when a job has waited for so long, 500ms at least; `4s` if neither is given.",
        examples=["2s"],
    )
    requests: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None,
        description="A worker is added for each so many requests; a load balancer's is `workers.slots` if left out.",
        examples=[8],
    )
    timeout: PositiveDuration | None = Field(
        default=None,
        description="The longest a job may run; the tier's `timeouts.total` if left out.",
        examples=["10m"],
    )
    flashboot: FlashBootName = Field(
        default="standard",
        description="Whether Runpod keeps what a worker held, to start it sooner.",
        examples=["priority"],
    )
    cuda: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = Field(
        default=CUDA_MIN, description="The CUDA version that a host must have at least.", examples=['"13.0"']
    )
    disk: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None, description="GB of a worker's disk; worked out from the weights if left out.", examples=[150]
    )
    start_timeout: PositiveDuration = Field(
        default=1200.0, description="How long a worker may take to start, download included.", examples=["20m"]
    )
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = Field(
        default=None, description="The type that vLLM computes in; the checkpoint's if left out.", examples=["bfloat16"]
    )
    memory_percent: Annotated[int, Field(ge=50, le=98)] = Field(
        default=90, description="Percent of the GPU's memory that vLLM takes.", examples=[92]
    )
    quantization: Text | None = Field(
        default=None,
        description="How the checkpoint is quantised. vLLM finds out itself; `awq` and `gptq` are left to it.",
        examples=["fp8"],
    )
    force_quantization: bool = Field(
        default=False,
        description="Send `quantization` whatever it is. `awq` and `gptq` then force their slow kernels.",
        examples=[True],
    )
    kv_cache: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] | None = Field(
        default=None, description="How the context is stored: `fp8` doubles what a GPU holds.", examples=["fp8"]
    )
    prefix_caching: bool = Field(
        default=True, description="Whether what prompts have in common is computed once.", examples=[False]
    )
    tool_parser: Text | None = Field(
        default=None, description="The model's way to call tools; without it there are none.", examples=["llama3_json"]
    )
    reasoning_parser: Text | None = Field(
        default=None, description="The model's way to think before it answers.", examples=["qwen3"]
    )
    sequences: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="Requests that vLLM computes at once, at least `workers.slots`; vLLM's own if left out.",
        examples=[256],
    )
    env: Environment = Field(
        default={},
        description="Further variables of its workers; secrets as `{{ RUNPOD_SECRET_name }}`.",
        examples=[_ENVIRONMENT_EXAMPLE],
    )


class AppDocument(Form):
    """An endpoint on CPUs that runs a program of our own."""

    image: Image = Field(
        description="The program's image, for linux/amd64, with its tag.", examples=["ghcr.io/acme/flows:1.4.2"]
    )
    cpu: Text = Field(default="cpu3c", description="Runpod's CPU flavour.", examples=["cpu5c"])
    vcpus: Literal[2, 4, 8, 16, 32] = Field(default=4, description="vCPUs of one worker.", examples=[4])
    disk: Annotated[int, Field(ge=1, le=480)] = Field(
        default=20, description="GB of a worker's disk; at most 10 for each vCPU, 15 with `cpu5c`.", examples=[20]
    )
    workers_min: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0, description="Workers that always run, and are always paid.", examples=[1]
    )
    workers_max: Annotated[int, Field(ge=1, le=1000)] = Field(default=2, description="Workers at most.", examples=[2])
    idle_timeout: PositiveDuration = Field(
        default=60.0, description="So long a worker without work is kept, and billed.", examples=["60s"]
    )
    requests: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=4, description="A worker is added for each so many requests.", examples=[4]
    )
    flashboot: FlashBootName = Field(
        default="standard",
        description="Whether Runpod keeps what a worker held, to start it sooner.",
        examples=["priority"],
    )
    data_centers: Places | None = Field(
        default=None, description="Where workers may run; the fleet's if left out.", examples=[["EU-RO-1"]]
    )
    env: Environment = Field(
        default={},
        description="Variables of its workers; secrets as `{{ RUNPOD_SECRET_name }}`.",
        examples=[{"TIERGATE_KEY": "{{ RUNPOD_SECRET_tiergate_key }}"}],
    )


class BalancedAppDocument(AppDocument):
    """One behind a load balancer."""

    port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=PORT, description="Where the program listens; sent to it as `PORT`.", examples=[PORT]
    )
    health_path: Annotated[str, Field(pattern=r"^/\S*$")] = Field(
        default="/ping", description="Where the balancer asks for its health.", examples=["/ping"]
    )
    timeout: PositiveDuration = Field(
        default=EDGE_SECONDS_MAX, description="The longest request; Runpod cuts it after 330s.", examples=["330s"]
    )


class GatewayAppDocument(BalancedAppDocument):
    """The gateway itself."""

    health_path: Annotated[str, Field(pattern=r"^/\S*$")] = Field(
        default="/healthz", description="Where the balancer asks for its health.", examples=["/healthz"]
    )


class QueueAppDocument(AppDocument):
    """One that takes jobs of a queue."""

    timeout: PositiveDuration = Field(default=3600.0, description="The longest a job may run.", examples=["1h"])


class RegistryDocument(Form):
    """A login for the registry of images, as Runpod keeps it."""

    name: Text = Field(description="Its name at Runpod.", examples=["ghcr"])
    username: SecretName | None = Field(
        default=None, description="Where the user is read, should it have to be made.", examples=["env:REGISTRY_USER"]
    )
    password: SecretName | None = Field(
        default=None, description="Where the password is read.", examples=["env:REGISTRY_PASSWORD"]
    )


class VolumeDocument(Form):
    """A network volume that all vLLM workers share. It ties them to its data centre."""

    name: Text = Field(description="Its name at Runpod.", examples=["models"])
    size: Annotated[int, Field(ge=10, le=4096)] = Field(description="GB; it only grows.", examples=[100])
    data_center: Text = Field(description="Where it is.", examples=["EU-RO-1"])


class FleetDocument(Form):
    """What the deployed endpoints have in common, and what is deployed beside the tiers."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")] = Field(
        default=NAME, description="What the names of its endpoints begin with.", examples=["acme-prod"]
    )
    quota: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=QUOTA,
        description="Workers that the account may have over all its endpoints: 5 at first, more with its balance.",
        examples=[10],
    )
    worker: Image = Field(
        default=WORKER_IMAGE, description="The image of queue endpoints' workers.", examples=[WORKER_IMAGE]
    )
    balanced_worker: Image = Field(
        default=BALANCED_IMAGE, description="The image of load balancers' workers.", examples=[BALANCED_IMAGE]
    )
    data_centers: Places = Field(
        default=[], description="Where workers may run; anywhere if left out.", examples=[["EU-RO-1", "US-KS-2"]]
    )
    registry: RegistryDocument | None = Field(
        default=None, description="The login with which images are pulled.", examples=[{"name": "ghcr"}]
    )
    volume: VolumeDocument | None = Field(
        default=None,
        description="A network volume for the weights.",
        examples=[{"name": "models", "size": 100, "data_center": "EU-RO-1"}],
    )
    secrets: dict[str, SecretName] = Field(
        default={},
        description="Secrets that Runpod is to keep: name, and where the value is read when it has to be made.",
        examples=[{"hf_token": "env:HF_TOKEN"}],
    )
    env: Environment = Field(default={}, description="Variables of all vLLM workers.", examples=[_ENVIRONMENT_EXAMPLE])
    orchestrator: BalancedAppDocument | None = Field(
        default=None,
        description="The orchestrator, behind a load balancer.",
        examples=[{"image": "ghcr.io/acme/flows:1.4.2"}],
    )
    batch: QueueAppDocument | None = Field(
        default=None,
        description="The orchestrator's handler, for runs as jobs of a queue.",
        examples=[{"image": "ghcr.io/acme/flows:1.4.2"}],
    )
    gateway: GatewayAppDocument | None = Field(
        default=None,
        description="The gateway itself, behind a load balancer.",
        examples=[{"image": "ghcr.io/acme/gateway:0.1.0"}],
    )
