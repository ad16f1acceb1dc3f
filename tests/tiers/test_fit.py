import pytest

from tests.tiers.samples import changed, problems
from tiers.fit import Weights, weights
from tiers.gpus import catalogue

B = 10**9


@pytest.mark.parametrize(
    ("model", "parameters", "bits"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8 * B, 16),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", 70 * B, 4),
        ("TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ", 56 * B, 4),
        ("mistralai/Mixtral-8x22B-v0.1", 176 * B, 16),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 135 * 10**6, 16),
        ("smollm2-1.7b", 17 * 10**8, 16),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8", 8 * B, 8),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8", 70 * B, 8),
        ("unsloth/Llama-3.2-3B-bnb-4bit", 3 * B, 4),
        ("nvidia/Llama-3.3-70B-Instruct-NVFP4", 70 * B, 4),
        ("Qwen/Qwen2.5-7B-Instruct-1M", 7 * B, 16),
        ("Qwen/Qwen3-30B-A3B", 30 * B, 16),
    ],
)
def test_a_models_name_tells_its_size_and_bits(model: str, parameters: int, bits: int) -> None:
    assert weights(model) == Weights(parameters=parameters, bits=bits)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "microsoft/Phi-3-mini-128k-instruct", "router", "model-0b"])
def test_a_name_without_a_size_tells_nothing(model: str) -> None:
    assert weights(model) is None


def test_what_the_tier_says_goes_before_the_name() -> None:
    assert weights("org/x-70B-AWQ", parameters=8 * B, bits="8bit") == Weights(parameters=8 * B, bits=8)
    assert weights("router", parameters=8 * B) == Weights(parameters=8 * B, bits=16)


def test_weights_take_bits_of_every_parameter() -> None:
    """8B at 16 bits are 14.9 GiB; at 4 bits the scales add a tenth."""
    assert Weights(parameters=8 * B, bits=16).gib == pytest.approx(14.9, abs=0.01)
    assert Weights(parameters=70 * B, bits=4).gib == pytest.approx(35.86, abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "bits", "gpu", "count", "fits"),
    [
        (8, 16, "RTX 4090", 1, True),
        (14, 16, "RTX 4090", 1, False),
        (14, 4, "RTX 4090", 1, True),
        (70, 4, "A100 80GB", 1, True),
        (70, 16, "A100 80GB", 1, False),
        (70, 16, "A100 80GB", 2, True),
        (32, 16, "H100 80GB", 1, True),
    ],
)
def test_weights_must_leave_room_in_the_memory_that_vllm_uses(
    parameters: int, bits: int, gpu: str, count: int, fits: bool
) -> None:
    assert Weights(parameters=parameters * B, bits=bits).fit(catalogue()[gpu], count) is fits


def test_a_model_that_cannot_fit_is_refused_with_the_ways_out() -> None:
    [problem] = problems(changed("Llama-3.1-8B-Instruct", "Llama-3.1-24B-Instruct"))
    assert (problem.field, problem.line) == ("tiers.routing.gpu", 7)
    assert "24B parameters of 16 bits take 44.7 GiB, and vLLM uses 21.6 GiB of RTX 4090" in problem.message
    assert "use a larger GPU (A100 80GB, RTX PRO 6000, H100 80GB, H200, B200)" in problem.remedy
    assert "set gpu_count: 4" in problem.remedy
    assert "quantised to 4 bits" in problem.remedy


def test_a_model_too_large_for_all_of_it_says_so() -> None:
    text = changed("gpu: RTX 4090", "gpu: RTX 4090\n    gpu_count: 8\n    parameters: 9999B\n    weights: 4bit")
    [problem] = problems(text)
    assert "8x RTX 4090" in problem.message
    assert problem.remedy.startswith("use a smaller model")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gpu: RTX 4090", "gpu: RTX 4090\n    weights: 4bit"),
        ("gpu: RTX 4090", "gpu: RTX 4090\n    parameters: 1B"),
        ("gpu: RTX 4090", "gpu: RTX 4090\n    gpu_count: 4"),
    ],
)
def test_a_tier_can_say_what_its_name_does_not(old: str, new: str) -> None:
    text = changed(old, new).replace("Llama-3.1-8B-Instruct", "Llama-3.1-24B-Instruct")
    assert problems(text) == ()


def test_a_model_is_judged_though_its_tier_has_other_problems() -> None:
    text = changed("slots: 24", "slots: none").replace("Llama-3.1-8B-Instruct", "Llama-3.1-24B-Instruct")
    assert [each.field for each in problems(text)] == ["tiers.routing.gpu", "tiers.routing.slots"]
