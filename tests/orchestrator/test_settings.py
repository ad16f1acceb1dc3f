"""The environment is read in one place, and says clearly what is wrong with it."""

from pathlib import Path

import pytest

from orchestrator.errors import SettingsInvalid
from orchestrator.settings import (
    CREWAI_ENVIRONMENT,
    DEFAULT_URL,
    Secret,
    Settings,
    bind,
    current_settings,
    prepare_crewai,
    read_settings,
)


def test_the_local_gateway_is_the_default() -> None:
    settings = read_settings({"TIERGATE_KEY": "sk-1"})
    assert settings == Settings(url=DEFAULT_URL, key=Secret("sk-1"))


def test_an_address_loses_its_trailing_slash() -> None:
    assert read_settings({"TIERGATE_KEY": "k", "TIERGATE_URL": "https://g.example/v1/"}).url == "https://g.example/v1"


def test_an_explicit_address_wins_over_the_environment() -> None:
    environ = {"TIERGATE_KEY": "k", "TIERGATE_URL": "http://a/v1"}
    assert read_settings(environ, url="http://b/v1").url == "http://b/v1"


def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-from-file\n")
    assert read_settings({"TIERGATE_KEY_FILE": str(file)}).key.reveal() == "sk-from-file"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "No key for the gateway"),
        ({"TIERGATE_KEY": "  "}, "No key for the gateway"),
        ({"TIERGATE_KEY": "a", "TIERGATE_KEY_FILE": "b"}, "both set"),
        ({"TIERGATE_KEY_FILE": "/nowhere/key"}, "cannot read /nowhere/key: No such file"),
        ({"TIERGATE_KEY": "sk\u00e9"}, "cannot be sent in a header"),
        ({"TIERGATE_KEY": "a\nb"}, "cannot be sent in a header"),
        ({"TIERGATE_KEY": "k", "TIERGATE_URL": "gateway:8080"}, "TIERGATE_URL is not an http or https address"),
        ({"TIERGATE_KEY": "k", "TIERGATE_URL": "http://"}, "TIERGATE_URL is not an http or https address"),
        ({"TIERGATE_KEY": "k", "TIERGATE_URL": "http://me:secret@g/v1"}, "holds credentials"),
    ],
)
def test_a_wrong_environment_is_refused_with_what_to_do(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(environ)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"\xff\xfe", "it is not text")])
def test_a_key_file_without_a_key_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=words):
        read_settings({"TIERGATE_KEY_FILE": str(file)})


def test_the_key_never_shows_itself() -> None:
    """Neither repr, str nor formatting of the settings or the secret gives it away."""
    settings = Settings(url="http://g/v1", key=Secret("sk-very-secret"))
    assert "very" not in f"{settings!r} {settings} {settings.key!r} {settings.key}"


def test_bound_settings_hold_inside_their_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERGATE_KEY", "from-environment")
    monkeypatch.delenv("TIERGATE_URL", raising=False)
    with bind(Settings(url="http://bound/v1", key=Secret("k"))):
        assert current_settings().url == "http://bound/v1"
    assert current_settings().key.reveal() == "from-environment"


def test_crewai_finds_telemetry_and_tracing_off(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    prepare_crewai(environ)
    assert environ == {**CREWAI_ENVIRONMENT, "HOME": str(tmp_path)}


def test_what_the_environment_says_about_crewai_is_kept(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "CREWAI_DISABLE_TELEMETRY": "false"}
    prepare_crewai(environ)
    assert environ["CREWAI_DISABLE_TELEMETRY"] == "false"


@pytest.mark.parametrize("home", [{}, {"HOME": "/nowhere/at/all"}])
def test_crewai_gets_a_home_that_it_can_write(home: dict[str, str]) -> None:
    environ = dict(home)
    prepare_crewai(environ)
    made = Path(environ["HOME"])
    assert made.is_dir()
    made.rmdir()
