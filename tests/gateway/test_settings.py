"""Settings and secrets: where they come from, and what is said when they cannot be read."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.authenticate import digest
from gateway.budget import ledger
from gateway.settings import (
    ENVIRONMENT,
    RECORDS_MAX,
    SLOT_LEASE_SECONDS,
    Settings,
    SettingsInvalid,
    admin_digest,
    check_runpod,
    read_secrets,
    read_settings,
    secret_references,
)
from gateway.telemetry import records
from tests.gateway.samples import tier_map, token_tier
from tiers.tiermap import Alerts, Budget, Endpoint, Key, Owner, SecretReference
from tiers.windows import Window


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on who runs it."""
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)


def test_a_tier_map_is_all_that_must_be_given() -> None:
    """All else has a default: an address that nobody else can reach, 10 MiB, half a minute."""
    assert read_settings({"tiers_file": "tiers.yaml", "command": "serve", "host": None}) == Settings(
        tiers_file=Path("tiers.yaml"),
        host="127.0.0.1",
        port=8080,
        store=None,
        state_directory=Path(".tiergate"),
        body_bytes_max=10 * 1024 * 1024,
        drain_seconds=30.0,
        drain_delay_seconds=0.0,
        admin_key=None,
        admin_listen=None,
        runpod_speed=1.0,
        slot_lease_seconds=30,
        records_max=100_000,
        records_days=30,
        processes=1,
    )


def test_every_setting_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a variable of its own."""
    for variable, value in {
        "TIERGATE_TIERS": "a.yaml",
        "TIERGATE_RUNPOD_KEY": "env:RUNPOD_API_KEY",
        "TIERGATE_RUNPOD_URL": "http://127.0.0.1:8090",
        "TIERGATE_FLEET_STATE": "fleet.json",
        "TIERGATE_HOST": "::1",
        "TIERGATE_PORT": "0",
        "TIERGATE_STORE": "redis://store:6379/0",
        "TIERGATE_STATE_DIRECTORY": "/var/lib/tiergate",
        "TIERGATE_BODY_BYTES_MAX": "1000",
        "TIERGATE_DRAIN_SECONDS": "2.5",
        "TIERGATE_DRAIN_DELAY_SECONDS": "5",
        "TIERGATE_ADMIN_KEY": "file:/run/secrets/admin",
        "TIERGATE_ADMIN_LISTEN": "[::1]:8081",
        "TIERGATE_RUNPOD_SPEED": "20",
        "TIERGATE_SLOT_LEASE_SECONDS": "5",
        "TIERGATE_RECORDS_MAX": "1000",
        "TIERGATE_RECORDS_DAYS": "7",
        "TIERGATE_PROCESSES": "4",
    }.items():
        monkeypatch.setenv(variable, value)
    assert read_settings({}) == Settings(
        tiers_file=Path("a.yaml"),
        fleet_state=Path("fleet.json"),
        host="::1",
        port=0,
        store="redis://store:6379/0",
        state_directory=Path("/var/lib/tiergate"),
        body_bytes_max=1000,
        drain_seconds=2.5,
        drain_delay_seconds=5.0,
        admin_key=SecretReference("file", "/run/secrets/admin"),
        admin_listen=("::1", 8081),
        runpod_speed=20.0,
        slot_lease_seconds=5,
        records_max=1000,
        records_days=7,
        runpod_key=SecretReference("env", "RUNPOD_API_KEY"),
        runpod_url="http://127.0.0.1:8090",
        processes=4,
    )
    assert set(ENVIRONMENT.values()) == set(Settings.__dataclass_fields__)


def test_the_defaults_are_those_of_the_parts_that_they_set() -> None:
    """They are written twice so that settings can be read without the server's packages."""
    assert (SLOT_LEASE_SECONDS, RECORDS_MAX) == (ledger.SLOT_LEASE_SECONDS, records.RECORDS_MAX)


def test_a_number_that_is_out_of_bounds_is_told_with_its_bounds() -> None:
    """Both are allowed themselves."""
    with pytest.raises(SettingsInvalid, match="'0' is not a whole number from 1 to 256"):
        read_settings({"tiers_file": "a.yaml", "processes": "0"})
    for value in (1, 256):
        assert read_settings({"tiers_file": "a.yaml", "processes": str(value)}).processes == value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"admin_listen": "127.0.0.1:8081"}, "nobody may use the admin API without an admin key"),
        ({"admin_listen": "127.0.0.1:8080", "admin_key": "env:ADMIN"}, "8080 is the gateway's own port"),
    ],
)
def test_an_address_for_the_admin_wants_an_admin_and_a_port_of_its_own(arguments: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        read_settings({"tiers_file": "a.yaml", **arguments})


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who types is nearer."""
    monkeypatch.setenv("TIERGATE_PORT", "1")
    monkeypatch.setenv("TIERGATE_TIERS", "a.yaml")
    assert read_settings({"port": "2", "tiers_file": None}) == Settings(tiers_file=Path("a.yaml"), port=2)


def test_without_a_tier_map_there_is_nothing_to_serve() -> None:
    """Both ways to name one are told."""
    with pytest.raises(SettingsInvalid, match="--tiers FILE or set TIERGATE_TIERS"):
        read_settings({})


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("port", "http", "--port"),
        ("port", "65536", "--port"),
        ("port", "-1", "--port"),
        ("port", "²", "--port"),
        ("port", "", "--port"),
        ("body_bytes_max", "10MB", "--body-bytes-max"),
        ("body_bytes_max", str(2**31 + 1), "--body-bytes-max"),
        ("processes", "0", "--processes"),
        ("processes", "257", "--processes"),
        ("processes", "all", "--processes"),
        ("slot_lease_seconds", "0", "--slot-lease-seconds"),
        ("records_max", "999", "--records-max"),
        ("records_days", "0.5", "--records-days"),
        ("drain_seconds", "soon", "--drain-seconds"),
        ("drain_seconds", "-1", "--drain-seconds"),
        ("drain_seconds", "nan", "--drain-seconds"),
        ("drain_seconds", "inf", "--drain-seconds"),
        ("drain_delay_seconds", "soon", "--drain-delay-seconds"),
        ("runpod_speed", "0", "--runpod-speed"),
        ("runpod_speed", "1001", "--runpod-speed"),
        ("admin_key", "sk-the-key-itself", "--admin-key"),
        ("admin_listen", "8081", "--admin-listen"),
        ("admin_listen", "localhost:", "--admin-listen"),
        ("admin_listen", "localhost:0", "--admin-listen"),
        ("runpod_key", "rpa_the-key-itself", "--runpod-key"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_place(
    name: str, value: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option or the variable."""
    with pytest.raises(SettingsInvalid, match=f"^{option}: "):
        read_settings({"tiers_file": "a.yaml", name: value})
    [variable] = [variable for variable, setting in ENVIRONMENT.items() if setting == name]
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=f"^{variable}: "):
        read_settings({"tiers_file": "a.yaml"})


def test_a_password_in_the_stores_url_does_not_show() -> None:
    """Settings may end up in a log."""
    assert "hunter2" not in repr(read_settings({"tiers_file": "a", "store": "redis://:hunter2@store"}))


def test_an_admin_key_that_was_given_itself_is_not_repeated() -> None:
    """It says where the key is; whoever writes the key there reads what to write."""
    with pytest.raises(SettingsInvalid, match="env:NAME or file:PATH") as caught:
        read_settings({"tiers_file": "a.yaml", "admin_key": "sk-the-key-itself"})
    assert "sk-the-key-itself" not in str(caught.value)


def test_only_the_admin_keys_digest_is_kept(tmp_path: Path) -> None:
    """Nothing where there is none; one that cannot be read is told."""
    file = tmp_path / "admin"
    file.write_text("sk-admin\n")
    settings = Settings(tiers_file=Path("a.yaml"), admin_key=SecretReference("file", str(file)))
    assert admin_digest(settings) == digest(b"sk-admin")
    assert admin_digest(Settings(tiers_file=Path("a.yaml"))) == ""
    file.unlink()
    with pytest.raises(SettingsInvalid, match=f"file:{file}"):
        admin_digest(settings)


def env(name: str) -> SecretReference:
    return SecretReference("env", name)


def test_every_secret_of_a_tier_map_is_named() -> None:
    """Keys that are stored hashed and endpoints that want none have none."""
    endpoints = (
        Endpoint(name="a/0", url="http://a.test/v1", api_key=env("UPSTREAM")),
        Endpoint(name="a/1", url="http://a.test/v1"),
    )
    keys = (Key(name="demo", secret=env("CALLER")), Key(name="hashed", hash="sha256:0"))
    assert list(secret_references(tier_map(token_tier(endpoints=endpoints), keys=keys))) == [
        env("CALLER"),
        env("UPSTREAM"),
    ]


def test_webhooks_that_are_to_be_read_are_among_the_secrets() -> None:
    """One that stands in the tier map is not."""

    def budget(webhook: SecretReference | str | None) -> Budget:
        alerts = None if webhook is None else Alerts(at=(80,), webhook=webhook)
        owner, window = Owner(kind="all", pattern="*"), Window(seconds=60)
        return Budget(name="b", owner=owner, unit="USD", limit=1, window=window, alerts=alerts)

    budgets = (budget(None), budget("https://hooks.test/"), budget(env("HOOK")))
    assert list(secret_references(replace(tier_map(token_tier()), budgets=budgets, keys=()))) == [env("HOOK")]


def test_secrets_are_read_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, without the line end that files have."""
    file = SecretReference("file", str(tmp_path / "key"))
    (tmp_path / "key").write_text(" sk-file\n", encoding="utf-8")
    monkeypatch.setenv("SOME_KEY", "sk-env")
    assert read_secrets([env("SOME_KEY"), file, env("SOME_KEY")]) == {env("SOME_KEY"): "sk-env", file: "sk-file"}


def test_every_secret_that_cannot_be_read_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its remedy, and never with a value."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    monkeypatch.setenv("ACCENT", "sécret")
    monkeypatch.setenv("LINES", "secret\nsecond")
    monkeypatch.setenv("GOOD", "sk-good")
    references = [
        env("MISSING"),
        SecretReference("file", str(tmp_path / "nowhere")),
        SecretReference("file", str(tmp_path / "binary")),
        SecretReference("file", str(tmp_path / "empty")),
        env("ACCENT"),
        env("LINES"),
        env("GOOD"),
    ]
    with pytest.raises(SettingsInvalid) as caught:
        read_secrets(references)
    told = str(caught.value).splitlines()[1:]
    assert len(told) == 6
    assert all(str(reference) in line for reference, line in zip(references, told, strict=False))
    assert "set it before starting" in told[0]
    assert "FileNotFoundError" in told[1]
    assert "sécret" not in str(caught.value)
    assert "sk-good" not in str(caught.value)


def test_runpods_key_is_looked_for_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is named."""
    check_runpod(read_settings({"tiers_file": "a.yaml"}))
    settings = read_settings({"tiers_file": "a.yaml", "runpod_key": "env:TIERGATE_TEST_RUNPOD"})
    monkeypatch.delenv("TIERGATE_TEST_RUNPOD", raising=False)
    with pytest.raises(SettingsInvalid, match="TIERGATE_TEST_RUNPOD"):
        check_runpod(settings)
    monkeypatch.setenv("TIERGATE_TEST_RUNPOD", "rpa_x")
    check_runpod(settings)
