"""An endpoint's configuration."""

import pytest

from deploy.emulator.model.config import EXECUTION_TIMEOUT_MS, CpuChoice, GpuChoice
from tests.deploy.emulator.worlds import balanced, config


def test_a_cold_start_may_take_seven_minutes_unless_the_environment_says_more() -> None:
    assert config().init_timeout_seconds == 420
    assert config(env={"RUNPOD_INIT_TIMEOUT": "1200"}).init_timeout_seconds == 1200
    assert config(env={"RUNPOD_INIT_TIMEOUT": "soon"}).init_timeout_seconds == 420


def test_a_worker_takes_thirty_jobs_unless_the_environment_says_otherwise() -> None:
    assert config().concurrency == 30
    assert config(env={"MAX_CONCURRENCY": "2"}).concurrency == 2


def test_no_timeout_is_the_platforms_own() -> None:
    assert config().execution_timeout_ms == EXECUTION_TIMEOUT_MS
    assert config(timeout_ms=5000).execution_timeout_ms == 5000


@pytest.mark.parametrize(
    ("env", "model"),
    [
        ({"MODEL_NAME": "a/b"}, "a/b"),
        ({"MODEL_NAME": "a/b", "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "c,d"}, "c,d"),
        ({"HUGGING_FACE_HUB_MODEL_ID": "a/b"}, "Qwen/Qwen3-0.6B"),
    ],
)
def test_a_model_is_served_under_one_name(env: dict[str, str], model: str) -> None:
    """A list is one odd name, and the name that old guides tell is read by nothing."""
    assert config(env=env).served_model == model


def test_a_server_that_is_given_arguments_serves_by_them() -> None:
    """VLLM's own image reads no environment; a flag without its value is none."""
    one = config(env={}, args="org/model --served-model-name router --max-model-len 4096")
    assert (one.served_model, one.max_model_len) == ("router", 4096)
    assert config(env={}, args="org/model --served-model-name").served_model == "Qwen/Qwen3-0.6B"


def test_tools_are_chosen_where_switch_and_parser_are_given_by_either_way() -> None:
    """Worker-vllm reads its environment, vLLM's own server its arguments."""
    assert config(env={"ENABLE_AUTO_TOOL_CHOICE": "true", "TOOL_CALL_PARSER": "hermes"}).chooses_tools
    assert config(env={}, args="--enable-auto-tool-choice --tool-call-parser hermes").chooses_tools
    assert not config(env={"ENABLE_AUTO_TOOL_CHOICE": "true"}).chooses_tools
    assert not config(env={}, args="--tool-call-parser hermes").chooses_tools


def test_a_load_balancer_reaches_workers_only_where_all_ports_agree() -> None:
    assert balanced().routable
    assert not balanced(ports=()).routable
    assert not balanced(env={"PORT": "8000"}).routable
    assert not balanced(env={}).routable
    assert balanced().health_path == "/ping"
    assert balanced(env={"HEALTH_CHECK_PATH": "/healthz"}).health_path == "/healthz"


@pytest.mark.parametrize(
    ("changes", "rolls"),
    [
        ({"image": "other"}, True),
        ({"env": {}}, True),
        ({"gpu": GpuChoice(pools=("AMPERE_80",))}, True),
        ({"cpu": (CpuChoice(id="cpu3c", vcpu_count=2),)}, True),
        ({"workers_max": 9}, False),
        ({"idle_timeout_seconds": 60}, False),
        ({"name": "other"}, False),
    ],
)
def test_workers_are_replaced_where_they_would_run_something_else(changes: dict[str, object], rolls: bool) -> None:
    assert config().rolls_over(config(**changes)) is rolls
