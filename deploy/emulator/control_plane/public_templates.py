"""Templates that everyone can read, and which templates one account can."""

from collections.abc import Mapping
from types import MappingProxyType

from deploy.emulator.model.resources import Resources, Template

VLLM_IMAGE = "runpod/worker-v1-vllm:v2.25.2"
PUBLIC: Mapping[str, Template] = MappingProxyType(
    {
        template.id: template
        for template in (
            Template(
                id="serverless-vllm",
                name="Serverless vLLM",
                image=VLLM_IMAGE,
                serverless=True,
                disk_gb=150,
                env={"GPU_MEMORY_UTILIZATION": "0.95", "ENABLE_PREFIX_CACHING": "false"},
                public=True,
                allowed_cuda_versions=("13.0",),
            ),
            Template(
                id="runpod-torch",
                name="Runpod Pytorch",
                image="runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
                ports=("8888/http", "22/tcp"),
                public=True,
            ),
        )
    }
)
"""By id, as the official slice of the catalogue: a serverless one, and one for pods that no endpoint may be made of."""


def readable(resources: Resources) -> Mapping[str, Template]:
    """All that an account may read, its own and the public ones."""
    return {**PUBLIC, **resources.templates}
