"""The variables of vLLM's worker: which there are, and which do harm."""

from pathlib import Path

import pytest

from tiers.worker_names import (
    COMPILED,
    FLAGS,
    KNOWN,
    REFUSED,
    SETTINGS,
    SWITCHES,
    any_complaint,
    complaint,
    secrets_named,
)

FACTS = Path(__file__).parents[3] / "shared" / "reference" / "runpod.md"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_dead_or_dangerous_is_refused_with_the_right_one_named(name: str) -> None:
    found = complaint(name, "{{ RUNPOD_SECRET_a }}")
    assert found is not None
    assert found[0].startswith(name)
    assert found[1]
    right = REFUSED[name][1].split(" ")[0].rstrip(",:")
    assert right == "nothing" or right in KNOWN or right == "an"


@pytest.mark.parametrize("name", sorted(COMPILED))
def test_what_is_made_of_the_tier_is_said_there(name: str) -> None:
    found = complaint(name, "1")
    assert found is not None
    assert COMPILED[name] in found[1]


@pytest.mark.parametrize(
    ("name", "value", "message", "remedy"),
    [
        ("ENFORCE_EAGER", "yes", "the worker crashes", 'write "true" or "false"'),
        ("ENABLE_CHUNKED_PREFIL", "true", "is read by nothing", "use ENABLE_CHUNKED_PREFILL"),
        ("RUNPOD_POD_ID", "a", "is set by Runpod", "take it out"),
        ("not a name", "a", "no name of a variable", "letters"),
        ("HUGGING_FACE_HUB_TOKEN", "hf_abc", "secret in clear text", "RUNPOD_SECRET_name"),
        ("HOST", "a", "is reserved", "take it out; the worker"),
        ("HELP", "a", "is reserved", "take it out;"),
    ],
)
def test_what_is_wrong_is_refused(name: str, value: str, message: str, remedy: str) -> None:
    found = complaint(name, value)
    assert found is not None
    assert message in found[0]
    assert remedy in found[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUGGING_FACE_HUB_TOKEN", "{{ RUNPOD_SECRET_hf_token }}"),
        ("ENFORCE_EAGER", "True"),
        ("VLLM_ATTENTION_BACKEND", "FLASHINFER"),
        ("MY_OWN", "thing"),
        ("RUNPOD_MIN_MEMORY_GB", "2"),
        ("MAX_NUM_BATCHED_TOKENS", "8192"),
    ],
)
def test_what_may_stand_may_stand(name: str, value: str) -> None:
    assert complaint(name, value) is None
    assert any_complaint(name, value) is None


def test_secrets_are_named_by_values() -> None:
    assert list(secrets_named({"A": "{{ RUNPOD_SECRET_hf }}", "B": "plain", "C": "{{RUNPOD_SECRET_x}}"})) == ["hf"]


def test_what_is_compiled_is_known_and_nothing_known_is_refused() -> None:
    assert set(COMPILED) <= KNOWN
    assert not KNOWN & set(REFUSED)


@pytest.mark.skipif(not FACTS.exists(), reason="the collection of facts about Runpod is not at hand")
def test_the_facts_name_each_of_them() -> None:
    text = FACTS.read_text(encoding="utf-8")
    part = text[text.index("## 6. worker-vllm environment") : text.index("### 6.4")]
    ours = {"MODEL_ID", "SERVED_MODEL_NAME", "REVISION", "DEFAULT_BATCH_SIZE_GROWTH_FACTOR", "DEFAULT_MIN_BATCH_SIZE"}
    spoken = part.replace("SPECULATIVE_METHOD/_MODEL", "SPECULATIVE_METHOD SPECULATIVE_MODEL")
    missing = [name for name in (*FLAGS, *SWITCHES, *SETTINGS, *REFUSED) if name not in spoken and name not in ours]
    assert missing == []
