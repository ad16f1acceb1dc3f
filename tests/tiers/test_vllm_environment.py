"""What a vLLM worker is told, worked out by hand."""

import shlex

import pytest

from tests.tiers.fleets import deployment
from tiers.vllm_environment import arguments, disk_gb, environment

PLAIN = {
    "ENABLE_PREFIX_CACHING": "true",
    "GPU_MEMORY_UTILIZATION": "0.90",
    "MAX_CONCURRENCY": "30",
    "MAX_MODEL_LEN": "16384",
    "MODEL_NAME": "org/model-8B",
    "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "org/model-8B",
    "RUNPOD_INIT_TIMEOUT": "1200",
    "TENSOR_PARALLEL_SIZE": "1",
    "VLLM_STARTUP_TIMEOUT": "1200",
}


def test_a_plain_worker_is_told_what_has_to_be_told() -> None:
    assert environment(deployment()) == PLAIN
    assert list(environment(deployment())) == sorted(PLAIN)
    assert arguments(deployment()) == ""


def test_each_field_becomes_the_variable_that_the_worker_reads() -> None:
    told = environment(
        deployment(
            model="served",
            revision="abc",
            gpu_count=2,
            slots=300,
            dtype="bfloat16",
            memory_percent=95,
            quantization="fp8",
            kv_cache="fp8",
            prefix_caching=False,
            tool_parser="hermes",
            reasoning_parser="qwen3",
            start_seconds=900,
            env={"SEED": "1", "MAX_CONCURRENCY": "never"},
        )
    )
    assert told == PLAIN | {
        "DTYPE": "bfloat16",
        "ENABLE_AUTO_TOOL_CHOICE": "true",
        "ENABLE_PREFIX_CACHING": "false",
        "GPU_MEMORY_UTILIZATION": "0.95",
        "KV_CACHE_DTYPE": "fp8",
        "MAX_CONCURRENCY": "300",
        "MAX_NUM_SEQS": "300",
        "MODEL_REVISION": "abc",
        "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "served",
        "QUANTIZATION": "fp8",
        "REASONING_PARSER": "qwen3",
        "RUNPOD_INIT_TIMEOUT": "900",
        "SEED": "1",
        "TENSOR_PARALLEL_SIZE": "2",
        "TOOL_CALL_PARSER": "hermes",
        "VLLM_STARTUP_TIMEOUT": "900",
    }


@pytest.mark.parametrize("quantization", ["awq", "gptq"])
def test_awq_and_gptq_are_left_to_vllm_unless_forced(quantization: str) -> None:
    assert "QUANTIZATION" not in environment(deployment(quantization=quantization))
    forced = environment(deployment(quantization=quantization, force_quantization=True))
    assert forced["QUANTIZATION"] == quantization


def test_as_many_sequences_as_written() -> None:
    assert environment(deployment(sequences=64))["MAX_NUM_SEQS"] == "64"


def test_behind_a_load_balancer_vllms_own_server_has_flags() -> None:
    one = deployment(type="LOAD_BALANCER", tool_parser="hermes", env={"ENFORCE_EAGER": "false", "HF_HOME": "/v"})
    assert environment(one) == {
        "ENFORCE_EAGER": "false",
        "HEALTH_CHECK_PATH": "/health",
        "HF_HOME": "/v",
        "PORT": "8000",
        "PORT_HEALTH": "8000",
        "RUNPOD_INIT_TIMEOUT": "1200",
    }
    words = shlex.split(arguments(one))
    assert words[:5] == ["org/model-8B", "--host", "0.0.0.0", "--port", "8000"]
    assert words[words.index("--served-model-name") + 1] == "org/model-8B"
    assert words[words.index("--max-model-len") + 1] == "16384"
    assert "--enable-auto-tool-choice" in words
    assert "--no-enforce-eager" in words
    assert "--model" not in words


@pytest.mark.parametrize(("weights", "written", "size"), [(14.9, None, 70), (None, None, 150), (14.9, 200, 200)])
def test_the_disk_holds_the_weights_twice_and_some_more(weights: float | None, written: int | None, size: int) -> None:
    assert disk_gb(deployment(weights_gib=weights, disk_gb=written)) == size
