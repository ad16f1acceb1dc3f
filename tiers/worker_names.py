"""The variables that worker-vllm v2.25.2 reads, those that it does not read any more, and those that do harm.

``docs/reference/worker-environment.md`` is held to these tables by a test, and they to the collection of facts about
Runpod where it is at hand (its parts 6.1 to 6.3).
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

FLAGS: Final[Mapping[str, str]] = {
    "MODEL_NAME": "model",
    "MODEL_REVISION": "revision",
    "TOKENIZER_NAME": "tokenizer",
    "TOKENIZER_REVISION": "tokenizer-revision",
    "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "served-model-name",
    "MAX_MODEL_LEN": "max-model-len",
    "GPU_MEMORY_UTILIZATION": "gpu-memory-utilization",
    "DTYPE": "dtype",
    "QUANTIZATION": "quantization",
    "KV_CACHE_DTYPE": "kv-cache-dtype",
    "MAX_NUM_SEQS": "max-num-seqs",
    "MAX_NUM_BATCHED_TOKENS": "max-num-batched-tokens",
    "TENSOR_PARALLEL_SIZE": "tensor-parallel-size",
    "TOOL_CALL_PARSER": "tool-call-parser",
    "REASONING_PARSER": "reasoning-parser",
    "CUSTOM_CHAT_TEMPLATE": "chat-template",
    "VLLM_CONFIG_FILE": "config",
    "LOAD_FORMAT": "load-format",
    "SEED": "seed",
    "SPECULATIVE_CONFIG": "speculative-config",
    "LORA_MODULES": "lora-modules",
    "MAX_LORAS": "max-loras",
    "MAX_LORA_RANK": "max-lora-rank",
}
"""Variable → the flag of ``vllm serve`` that it becomes."""
SWITCHES: Final = (
    "ENABLE_PREFIX_CACHING",
    "ENABLE_CHUNKED_PREFILL",
    "ENFORCE_EAGER",
    "ENABLE_AUTO_TOOL_CHOICE",
    "TRUST_REMOTE_CODE",
    "ENABLE_LORA",
    "ENABLE_FORCE_INCLUDE_USAGE",
    "ENABLE_PROMPT_TOKENS_DETAILS",
    "ENABLE_LOG_REQUESTS",
    "DISABLE_LOG_STATS",
)
"""Flags without a value: a value that is neither true nor false makes the worker crash."""
SETTINGS: Final = (
    "MAX_CONCURRENCY",
    "VLLM_STARTUP_TIMEOUT",
    "RUNPOD_INIT_TIMEOUT",
    "REQUEST_TIMEOUT",
    "VLLM_EXTRA_ARGS",
    "VLLM_PORT",
    "BASE_PATH",
    "HF_HOME",
    "HUGGING_FACE_HUB_TOKEN",
    "PYTORCH_ALLOC_CONF",
    "VLLM_USE_DEEP_GEMM",
)
"""What the worker, the platform or a library reads, and is no flag."""
KNOWN: Final = frozenset([*FLAGS, *SWITCHES, *SETTINGS])
COMPILED: Final[Mapping[str, str]] = {
    "MODEL_NAME": "deploy.repository, or the tier's model",
    "MODEL_REVISION": "deploy.revision",
    "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "the tier's model",
    "MAX_MODEL_LEN": "the tier's context",
    "GPU_MEMORY_UTILIZATION": "deploy.memory_percent",
    "DTYPE": "deploy.dtype",
    "QUANTIZATION": "deploy.quantization",
    "KV_CACHE_DTYPE": "deploy.kv_cache",
    "MAX_NUM_SEQS": "deploy.sequences",
    "MAX_CONCURRENCY": "workers.slots",
    "TENSOR_PARALLEL_SIZE": "the tier's gpu_count",
    "ENABLE_PREFIX_CACHING": "deploy.prefix_caching",
    "ENABLE_AUTO_TOOL_CHOICE": "deploy.tool_parser",
    "TOOL_CALL_PARSER": "deploy.tool_parser",
    "REASONING_PARSER": "deploy.reasoning_parser",
    "VLLM_STARTUP_TIMEOUT": "deploy.start_timeout",
    "RUNPOD_INIT_TIMEOUT": "deploy.start_timeout",
}
"""Variable → the field of the tier map that it is made of."""
REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "HUGGING_FACE_HUB_MODEL_ID": (
        "is read by nothing: vLLM would serve a tiny model of its own choice, and bill for it",
        "MODEL_NAME, which is made of the tier's model or deploy.repository",
    ),
    "HF_TOKEN": ("becomes a flag, and stands in the worker's log in clear text", "HUGGING_FACE_HUB_TOKEN"),
    "MODEL_ID": ("is read by nothing", "MODEL_NAME, which is made of the tier's model or deploy.repository"),
    "MODEL": ("is reserved, and ignored", "MODEL_NAME, which is made of the tier's model or deploy.repository"),
    "HOST": ("is reserved, and ignored", "nothing: the worker listens on its own machine"),
    "PORT": ("is reserved, and ignored", "VLLM_PORT"),
    "API_KEY": ("is reserved, and ignored", "nothing: Runpod's edge asks for the account's key"),
    "VLLM_API_KEY": ("is read by nothing", "nothing: Runpod's edge asks for the account's key"),
    "CONFIG": ("is reserved, and ignored", "VLLM_CONFIG_FILE"),
    "HELP": ("is reserved, and ignored", "nothing"),
    "SERVED_MODEL_NAME": (
        "is not the worker's name for it",
        "OPENAI_SERVED_MODEL_NAME_OVERRIDE, from the tier's model",
    ),
    "REVISION": ("is not the worker's name for it", "MODEL_REVISION, which is made of deploy.revision"),
    "SWAP_SPACE": ("was removed", "nothing: vLLM swaps no more"),
    "ROPE_SCALING": ("was removed", "VLLM_EXTRA_ARGS with --hf-overrides"),
    "ROPE_THETA": ("was removed", "VLLM_EXTRA_ARGS with --hf-overrides"),
    "TASK": ("was removed", "VLLM_EXTRA_ARGS with --runner"),
    "GUIDED_DECODING_BACKEND": ("was removed", "VLLM_EXTRA_ARGS with --structured-outputs-config"),
    "DISABLE_LOG_REQUESTS": ("was removed", "ENABLE_LOG_REQUESTS"),
    "CUDA_GRAPH_SIZES": ("was removed", "VLLM_EXTRA_ARGS with --compilation-config"),
    "NUM_LOOKAHEAD_SLOTS": ("was removed", "SPECULATIVE_CONFIG"),
    "SPECULATIVE_METHOD": ("is read by nothing", "SPECULATIVE_CONFIG"),
    "SPECULATIVE_MODEL": ("is read by nothing", "SPECULATIVE_CONFIG"),
    "RAW_OPENAI_OUTPUT": ("is read by nothing", "nothing: answers are always OpenAI's"),
    "OPENAI_RESPONSE_ROLE": ("is read by nothing", "VLLM_EXTRA_ARGS with --response-role"),
    "TRANSFORMERS_VERSION": ("is read by nothing", "an image of your own in deploy.image"),
    "MAX_SEQ_LEN_TO_CAPTURE": ("is read by nothing", "VLLM_EXTRA_ARGS with --compilation-config"),
    "DEFAULT_BATCH_SIZE": ("is read by nothing", "nothing: vLLM's bytes are passed on as they come"),
    "DEFAULT_BATCH_SIZE_GROWTH_FACTOR": ("is read by nothing", "nothing: vLLM's bytes are passed on as they come"),
    "DEFAULT_MIN_BATCH_SIZE": ("is read by nothing", "nothing: vLLM's bytes are passed on as they come"),
}
"""Variable → what is wrong with it, and what is right."""
SECRET: Final = re.compile(r"\{\{ RUNPOD_SECRET_([A-Za-z_][A-Za-z0-9_./-]{0,190}) \}\}", re.ASCII)
"""How a variable's value names a secret that Runpod keeps."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_SECRETIVE: Final = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|API_?KEY|_KEY)$", re.ASCII)
_PLATFORM: Final = re.compile(r"RUNPOD_(MIN_|SKIP_|PING_|LOG_|INIT_TIMEOUT)", re.ASCII)
_ALIKE: Final = 0.86
_BOOLEANS: Final = ("true", "false", "1", "0")


def complaint(name: str, value: str) -> tuple[str, str] | None:
    """What is wrong with one variable of a vLLM worker's, and what to write instead; ``None`` where it may stand."""
    found = any_complaint(name, value)
    if found is not None:
        return found
    if name in COMPILED:
        return f"{name} is made of {COMPILED[name]}", f"set {COMPILED[name]}, and take {name} out"
    if name in REFUSED:
        why, right = REFUSED[name]
        return f"{name} {why}", f"use {right}" if not right.startswith(
            "nothing"
        ) else f"take it out; {right[9:]}".strip()
    if name in SWITCHES and value.lower() not in _BOOLEANS:
        return f"{name} is true or false; with anything else the worker crashes", 'write "true" or "false"'
    if name not in KNOWN and not name.startswith(("VLLM_", "HF_", "CUDA_", "NCCL_", "NVIDIA_")):
        close = get_close_matches(name.upper(), sorted(KNOWN), n=1, cutoff=_ALIKE)
        if close:
            return f"{name} is read by nothing", f"use {close[0]}"
    return None


def any_complaint(name: str, value: str) -> tuple[str, str] | None:
    """The same of any program's variable."""
    if not _NAME.fullmatch(name):
        return "no name of a variable", "use letters, digits and underscores"
    if name.startswith("RUNPOD_") and not _PLATFORM.match(name):
        return f"{name} is set by Runpod", "take it out"
    if _SECRETIVE.search(name) and value and not SECRET.fullmatch(value):
        return (
            f"{name} holds a secret in clear text",
            'have Runpod keep it: fleet.secrets: {name: env:VARIABLE}; here: "{{ RUNPOD_SECRET_name }}"',
        )
    return None


def secrets_named(environment: Mapping[str, str]) -> Iterator[str]:
    """The secrets that the values of an environment name."""
    for value in environment.values():
        yield from SECRET.findall(value)
