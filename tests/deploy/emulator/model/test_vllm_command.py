"""What a worker's log tells of its environment."""

import pytest

from deploy.emulator.model.faults import Faults
from deploy.emulator.model.vllm_command import command_arguments, words_at_start
from tests.deploy.emulator.worlds import START, config, endpoint_in, world

TOKEN = "hf_hidden"
ENV = {"MODEL_NAME": "org/model", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "router"}


def log_of_a_start(env: dict[str, str], image: str = "runpod/worker-v1-vllm:v2.25.2") -> str:
    """A worker's log when it serves."""
    made = world()
    endpoint = endpoint_in(made, config(env=env, image=image))
    made.set_faults(endpoint.id, Faults(pull_seconds=0, load_seconds=0), START)
    made.submit(endpoint.id, {"prompt": "x"}, START)
    made.advance(START + 1)
    [worker] = endpoint.workers.values()
    return "\n".join(line.text for line in worker.log)


def test_hf_token_leaks_into_the_log() -> None:
    """As a flag of vLLM's command line, and again among its arguments: whoever may read logs has the token."""
    log = log_of_a_start(ENV | {"HF_TOKEN": TOKEN})
    assert f"vllm serve --model org/model --served-model-name router --hf-token {TOKEN} --host" in log
    assert f"'hf_token': '{TOKEN}'" in log


def test_hugging_face_hub_token_does_not_leak() -> None:
    """It is no flag: only the library that downloads reads it."""
    log = log_of_a_start(ENV | {"HUGGING_FACE_HUB_TOKEN": TOKEN})
    assert "vllm serve" in log
    assert TOKEN not in log


def test_without_a_model_name_there_is_a_warning_and_the_wrong_model() -> None:
    """The endpoint costs as much as the right one would."""
    log = log_of_a_start({"HUGGING_FACE_HUB_MODEL_ID": "org/model"})
    assert "MODEL_NAME is not set" in log
    assert "Starting to load model Qwen/Qwen3-0.6B..." in log
    assert "org/model" not in log
    assert "MODEL_NAME is not set" not in log_of_a_start(ENV)


@pytest.mark.parametrize(
    ("env", "arguments"),
    [
        ({"MAX_MODEL_LEN": "4096"}, [("--max-model-len", "4096")]),
        ({"MAX_MODEL_LEN": ""}, []),
        ({"ENABLE_PREFIX_CACHING": "True"}, [("--enable-prefix-caching", None)]),
        ({"ENABLE_PREFIX_CACHING": "false"}, [("--no-enable-prefix-caching", None)]),
        ({"MODEL_REVISION": "abc"}, [("--revision", "abc")]),
        ({"MAX_CONCURRENCY": "3", "RUNPOD_INIT_TIMEOUT": "900", "SWAP_SPACE": "4"}, []),
    ],
)
def test_flags_are_variables_in_upper_case(env: dict[str, str], arguments: list[tuple[str, str | None]]) -> None:
    assert command_arguments(env) == arguments


def test_switches_have_no_value() -> None:
    told = words_at_start(config(env=ENV | {"ENABLE_LORA": "true"}))
    assert " --enable-lora --host" in told[0]
    assert "enable_lora" not in told[1]


def test_other_images_say_nothing_of_it() -> None:
    assert "vllm serve" not in log_of_a_start({}, image="org/flows:1")
