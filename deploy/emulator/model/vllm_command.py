"""What vLLM's worker says when it starts: the command line that it makes of its environment, secrets and all.

Every flag of vLLM's that the worker knows is its name in upper case in the environment. ``HF_TOKEN`` is among them, so
the token stands in the log in clear text, twice; ``HUGGING_FACE_HUB_TOKEN`` is none, and is read by nobody but the
library that downloads.
"""

import shlex
from collections.abc import Mapping

from deploy.emulator.model.config import EndpointConfig

ALIASES: Mapping[str, str] = {
    "MODEL_NAME": "model",
    "MODEL_REVISION": "revision",
    "TOKENIZER_NAME": "tokenizer",
    "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "served-model-name",
    "CUSTOM_CHAT_TEMPLATE": "chat-template",
    "VLLM_CONFIG_FILE": "config",
}
"""Variables whose flag has another name."""
FLAGS = (
    *("HF_TOKEN", "TOKENIZER_REVISION", "MAX_MODEL_LEN", "GPU_MEMORY_UTILIZATION", "DTYPE", "QUANTIZATION"),
    *("KV_CACHE_DTYPE", "MAX_NUM_SEQS", "MAX_NUM_BATCHED_TOKENS", "TENSOR_PARALLEL_SIZE", "TOOL_CALL_PARSER"),
    *("REASONING_PARSER", "LOAD_FORMAT", "SEED", "SPECULATIVE_CONFIG", "LORA_MODULES", "MAX_LORAS", "MAX_LORA_RANK"),
)
SWITCHES = (
    *("ENABLE_PREFIX_CACHING", "ENABLE_CHUNKED_PREFILL", "ENABLE_AUTO_TOOL_CHOICE", "ENFORCE_EAGER"),
    *("TRUST_REMOTE_CODE", "ENABLE_LORA", "ENABLE_FORCE_INCLUDE_USAGE", "ENABLE_PROMPT_TOKENS_DETAILS"),
    *("ENABLE_LOG_REQUESTS", "DISABLE_LOG_STATS"),
)
"""Flags without a value: ``true`` is ``--x``, anything else ``--no-x``."""
NO_MODEL = "MODEL_NAME is not set; `vllm serve` will fail"
"""The worker's warning; in truth vLLM serves its own default model."""


def is_vllm(config: EndpointConfig) -> bool:
    """Whether its workers run vLLM's worker, by the image's name."""
    return "vllm" in config.image


def words_at_start(config: EndpointConfig) -> list[str]:
    """What the worker and vLLM log before the model is loaded, line by line."""
    arguments = command_arguments(config.env)
    given = {flag.removeprefix("--").replace("-", "_"): value for flag, value in arguments if value is not None}
    command = [word for flag, value in arguments for word in (flag, value) if word is not None]
    return [
        *([] if config.env.get("MODEL_NAME") else [f"WARNING {NO_MODEL}"]),
        f"Starting vLLM: {shlex.join(['vllm', 'serve', *command, '--host', '127.0.0.1', '--port', '8000'])}",
        f"non-default args: {given}",
    ]


def command_arguments(env: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Each flag with its value, ``None`` for a switch; what is unset or empty is not passed."""
    made: list[tuple[str, str | None]] = []
    for name, value in env.items():
        if not value:
            continue
        if name in ALIASES or name in FLAGS:
            made.append((f"--{ALIASES.get(name) or _flag(name)}", value))
        elif name in SWITCHES:
            made.append((f"--{'' if value.lower() in {'1', 'true'} else 'no-'}{_flag(name)}", None))
    return made


def _flag(name: str) -> str:
    return name.lower().replace("_", "-")
