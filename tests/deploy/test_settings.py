from pathlib import Path

import pytest

from deploy.errors import BadUsage
from deploy.settings import ChildEnvironments, Settings, child_environments

URL = "http://127.0.0.1:8080/v1"


def _environments(
    environment: dict[str, str], local: tuple[str, ...] = (), every: tuple[str, ...] = ()
) -> ChildEnvironments:
    return child_environments(
        Settings(environment=environment), gateway_url=URL, local_secrets=local, all_secrets=every
    )


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes after the reading does not show."""
    monkeypatch.setenv("PATH", "/one")
    settings = Settings.read()
    monkeypatch.setenv("PATH", "/two")
    assert settings.path == "/one"


def test_secrets_never_show_in_repr() -> None:
    settings = Settings(environment={"TIERGATE_DEMO_KEY": "sk-hidden"})
    made = child_environments(settings, gateway_url=URL, local_secrets=(), all_secrets=())
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


def test_the_orchestrator_gets_the_url_and_its_key_and_no_other_secret() -> None:
    environment = {"HOME": "/home/me", "OPENAI_API_KEY": "sk-out", "ROUTING_KEY": "sk-routing"}
    made = _environments(environment, local=("ROUTING_KEY",), every=("OPENAI_API_KEY",))
    assert made.orchestrator == {
        "HOME": "/home/me",
        "TIERGATE_URL": URL,
        "TIERGATE_KEY": made.demo_key,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def test_proxies_of_the_environment_are_not_asked_for_this_machine() -> None:
    """What was excepted before stays so."""
    made = _environments({"NO_PROXY": "example.org,127.0.0.1"})
    assert made.orchestrator["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_missing_keys_of_local_engines_are_made_up_for_both_sides() -> None:
    made = _environments({"SET": "sk-set"}, local=("UNSET", "SET"))
    assert made.engine["UNSET"] == made.gateway["UNSET"]
    assert len(made.engine["UNSET"]) >= 32
    assert made.engine["SET"] == "sk-set"
