"""What a host is told by its environment."""

from pathlib import Path

import pytest

from orchestrator.errors import SettingsInvalid
from orchestrator.host.settings import read_host_settings
from orchestrator.settings import Secret


def test_nothing_said_is_a_directory_and_no_token() -> None:
    settings = read_host_settings({})
    assert (settings.runs, settings.token, settings.worker) == (Path(".tiergate/runs"), None, "")
    assert (settings.edge_url, settings.edge_key, settings.shared) == ("", None, False)


def test_runpod_says_who_and_where_this_worker_is() -> None:
    """Its runs have a directory of their own: workers on one volume do not meet."""
    environ = {"RUNPOD_POD_ID": "w1", "RUNPOD_ENDPOINT_ID": "e1", "RUNPOD_AI_API_KEY": "rpa_x"}
    settings = read_host_settings(environ)
    assert (settings.runs, settings.worker) == (Path(".tiergate/runs/w1"), "w1")
    assert (settings.edge_url, settings.edge_key) == ("https://e1.api.runpod.ai", Secret("rpa_x"))
    elsewhere = read_host_settings({**environ, "TIERGATE_EDGE_URL": "http://127.0.0.1:8090/lb/e1/"})
    assert elsewhere.edge_url == "http://127.0.0.1:8090/lb/e1"


def test_an_edge_may_be_the_same_for_all_endpoints_and_is_none_without_one() -> None:
    """Nor is Runpod's own asked without its key: a worker may be emulated."""
    environ = {"TIERGATE_EDGE_URL": "http://127.0.0.1:8090/lb/{endpoint}"}
    assert read_host_settings({**environ, "RUNPOD_ENDPOINT_ID": "e1"}).edge_url == "http://127.0.0.1:8090/lb/e1"
    assert read_host_settings(environ).edge_url == ""
    assert read_host_settings({"RUNPOD_ENDPOINT_ID": "e1"}).edge_url == ""


@pytest.mark.parametrize(
    "url", ["redis://:secret@127.0.0.1:6379/0", "rediss://store:6380/1", "unix://:secret@/run/store.sock"]
)
def test_a_store_is_shared_and_its_address_is_a_secret(url: str) -> None:
    settings = read_host_settings({"TIERGATE_RUNS": url})
    assert (settings.runs, settings.shared) == (Secret(url), True)
    assert "secret" not in repr(settings)


def test_a_redis_that_is_meant_for_something_else_is_not_taken() -> None:
    assert not read_host_settings({"REDIS_URL": "redis://127.0.0.1:6379/0"}).shared


def test_a_directory_is_one() -> None:
    assert read_host_settings({"TIERGATE_RUNS": "/workspace/runs"}).runs == Path("/workspace/runs")


def test_days_are_whole_and_bounded() -> None:
    assert read_host_settings({}).runs_days == 30
    assert read_host_settings({"TIERGATE_RUNS_DAYS": "0"}).runs_days == 0
    for wrong in ("-1", "1.5", "soon", "3651"):
        with pytest.raises(SettingsInvalid, match="TIERGATE_RUNS_DAYS"):
            read_host_settings({"TIERGATE_RUNS_DAYS": wrong})


def test_a_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("sk-app\n")
    assert read_host_settings({"TIERGATE_APP_TOKEN": "sk-app"}).token == Secret("sk-app")
    assert read_host_settings({"TIERGATE_APP_TOKEN_FILE": str(file)}).token == Secret("sk-app")


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"TIERGATE_RUNS": "postgres://host/db"}, "postgres://"),
        ({"TIERGATE_RUNS": "redis:///0"}, "redis://HOST"),
        ({"TIERGATE_APP_TOKEN": "a", "TIERGATE_APP_TOKEN_FILE": "b"}, "both set"),
        ({"TIERGATE_APP_TOKEN": "a\x01b"}, "cannot be sent"),
        ({"TIERGATE_APP_TOKEN_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"TIERGATE_APP_TOKEN_FILE": "/dev/null"}, "is empty"),
    ],
)
def test_what_cannot_be_used_is_refused(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsInvalid, match=problem):
        read_host_settings(environ)
