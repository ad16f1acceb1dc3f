"""What a vLLM worker is told: the environment of worker-vllm, or the command line of vLLM's own server.

Both are made of the tier, with the names that the pinned releases read (``tiers.worker_names``).
"""

import math
import shlex
from collections.abc import Mapping
from typing import Final

from tiers.fleet import PORT, Deployment
from tiers.worker_names import FLAGS, SWITCHES

_LEFT_TO_VLLM: Final = ("awq", "gptq")
"""vLLM finds these in the checkpoint and takes its fast kernel (Marlin); named, they are the slow ones."""
SEQUENCES: Final = 256
"""vLLM's own ``--max-num-seqs``."""
DISK_BASE_GB: Final = 30
"""What a worker's disk holds beside the weights: caches of compiled kernels, logs, the container's own files."""
DISK_FACTOR: Final = 2.2
"""A download is on the disk twice for a moment, and repositories hold more than what is loaded."""
DISK_UNKNOWN_GB: Final = 150
"""Where the model's size is not known: what the worker's own listing asks for."""
DISK_STEP_GB: Final = 10


def environment(deployment: Deployment) -> dict[str, str]:
    """The environment of the endpoint's workers, sorted by name.

    Behind a load balancer vLLM's own server runs, which takes ``arguments`` and needs to know its port alone.
    """
    if deployment.type == "LOAD_BALANCER":
        port = str(PORT)
        made = {"PORT": port, "PORT_HEALTH": port, "HEALTH_CHECK_PATH": "/health"}
        made["RUNPOD_INIT_TIMEOUT"] = str(deployment.start_seconds)
    else:
        made = _variables(deployment)
    return dict(sorted({**deployment.env, **made}.items()))


def arguments(deployment: Deployment) -> str:
    """What follows ``vllm serve`` behind a load balancer; nothing where a worker reads its environment."""
    if deployment.type != "LOAD_BALANCER":
        return ""
    words = [deployment.repository, "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - the balancer calls it
    variables = {**_variables(deployment), **deployment.env}
    del variables["MODEL_NAME"]
    for name, value in sorted(variables.items()):
        if name in FLAGS:
            words += [f"--{FLAGS[name]}", value]
        elif name in SWITCHES:
            words.append(f"--{'' if value.lower() in {'true', '1'} else 'no-'}{name.lower().replace('_', '-')}")
    return shlex.join(words)


def disk_gb(deployment: Deployment) -> int:
    """GB of a worker's disk: as written, else room for the weights."""
    if deployment.disk_gb is not None:
        return deployment.disk_gb
    if deployment.weights_gib is None:
        return DISK_UNKNOWN_GB
    needed = DISK_BASE_GB + deployment.weights_gib * DISK_FACTOR
    return math.ceil(needed / DISK_STEP_GB) * DISK_STEP_GB


def _variables(deployment: Deployment) -> dict[str, str]:
    sequences = deployment.sequences or (deployment.slots if deployment.slots > SEQUENCES else None)
    seconds = str(deployment.start_seconds)
    made: Mapping[str, str | None] = {
        "MODEL_NAME": deployment.repository,
        "MODEL_REVISION": deployment.revision,
        "OPENAI_SERVED_MODEL_NAME_OVERRIDE": deployment.model,
        "MAX_MODEL_LEN": str(deployment.context),
        "DTYPE": deployment.dtype,
        "GPU_MEMORY_UTILIZATION": f"{deployment.memory_percent / 100:.2f}",
        "QUANTIZATION": _quantization(deployment),
        "KV_CACHE_DTYPE": deployment.kv_cache,
        "TENSOR_PARALLEL_SIZE": str(deployment.gpu_count),
        "ENABLE_PREFIX_CACHING": "true" if deployment.prefix_caching else "false",
        "ENABLE_AUTO_TOOL_CHOICE": "true" if deployment.tool_parser else None,
        "TOOL_CALL_PARSER": deployment.tool_parser,
        "REASONING_PARSER": deployment.reasoning_parser,
        "MAX_NUM_SEQS": str(sequences) if sequences else None,
        "MAX_CONCURRENCY": str(deployment.slots),
        "RUNPOD_INIT_TIMEOUT": seconds,
        "VLLM_STARTUP_TIMEOUT": seconds,
    }
    return {name: value for name, value in made.items() if value is not None}


def _quantization(deployment: Deployment) -> str | None:
    if deployment.quantization in _LEFT_TO_VLLM and not deployment.force_quantization:
        return None
    return deployment.quantization
