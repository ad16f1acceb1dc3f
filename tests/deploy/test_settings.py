from pathlib import Path

import pytest

from deploy.errors import BadUsage
from deploy.settings import ChildEnvironments, Settings, child_environments


def _environments(
    environment: dict[str, str], emulated: tuple[str, ...] = (), every: tuple[str, ...] = ()
) -> ChildEnvironments:
    return child_environments(
        Settings(environment=environment), emulator_key="rpa_emulator", emulator_secrets=emulated, all_secrets=every
    )


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes after the reading does not show."""
    monkeypatch.setenv("PATH", "/one")
    settings = Settings.read()
    monkeypatch.setenv("PATH", "/two")
    assert settings.path == "/one"


def test_secrets_never_show_in_repr() -> None:
    settings = Settings(environment={"TIERGATE_DEMO_KEY": "sk-hidden"})
    made = child_environments(settings, emulator_key="k", emulator_secrets=(), all_secrets=())
    assert "sk-hidden" not in repr(settings) + repr(made)


def test_a_secret_is_read_from_where_its_reference_points(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n", encoding="utf-8")
    settings = Settings(environment={"KEY": " sk-env "})
    assert (settings.secret("env:KEY"), settings.secret(f"file:{file}")) == ("sk-env", "sk-file")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("sk-literal", "not given as a reference"),
        ("env:", "not given as a reference"),
        ("env:ABSENT", "there is no secret in env:ABSENT"),
        ("env:BLANK", "there is no secret in env:BLANK"),
        ("file:/nowhere/key", "cannot read the secret in file:/nowhere/key"),
    ],
)
def test_a_reference_without_a_secret_is_refused_and_never_repeated(reference: str, message: str) -> None:
    with pytest.raises(BadUsage, match=message) as caught:
        Settings(environment={"BLANK": " "}).secret(reference)
    assert "sk-literal" not in caught.value.message + caught.value.remedy


def test_the_demo_key_is_fresh_at_each_start_unless_it_is_given() -> None:
    """An empty variable is as good as none."""
    first, second = (_environments({"TIERGATE_DEMO_KEY": ""}).demo_key for _ in range(2))
    assert first != second
    assert min(len(first), len(second)) >= 32
    assert _environments({"TIERGATE_DEMO_KEY": "sk-mine"}).demo_key == "sk-mine"


def test_the_gateway_gets_the_demo_key_and_all_that_was_there() -> None:
    made = _environments({"HOME": "/home/me", "OPENAI_API_KEY": "sk-out"}, every=("OPENAI_API_KEY",))
    assert made.gateway == {
        "HOME": "/home/me",
        "OPENAI_API_KEY": "sk-out",
        "TIERGATE_DEMO_KEY": made.demo_key,
    }


def test_workers_get_no_secret_of_the_tier_map() -> None:
    """Nor what somebody's own orchestrator is told: theirs comes from their endpoint."""
    environment = {"HOME": "/home/me", "OPENAI_API_KEY": "sk-out", "RUNPOD_API_KEY": "rpa_real", "TIERGATE_KEY": "sk"}
    environment |= {"TIERGATE_URL": "http://elsewhere/v1", "TIERGATE_KEY_FILE": "/k", "TIERGATE_DEMO_KEY": "sk-demo"}
    made = _environments(environment, emulated=("RUNPOD_API_KEY",), every=("OPENAI_API_KEY",))
    assert made.emulator == {
        "HOME": "/home/me",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def test_proxies_of_the_environment_are_not_asked_for_this_machine() -> None:
    """What was excepted before stays so."""
    made = _environments({"NO_PROXY": "example.org,127.0.0.1"})
    assert made.emulator["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_the_key_of_a_real_account_does_not_go_to_the_emulator() -> None:
    made = _environments({"RUNPOD_API_KEY": "rpa_real"}, emulated=("RUNPOD_API_KEY", "UNSET"))
    assert (made.gateway["RUNPOD_API_KEY"], made.gateway["UNSET"]) == ("rpa_emulator", "rpa_emulator")
