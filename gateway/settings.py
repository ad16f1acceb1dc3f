"""The gateway's settings, and the only place where it reads the environment and secret files."""

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.keys.pepper import pepper_in
from tiers.addresses import secret_reference
from tiers.fleet_addresses import state_file
from tiers.tiermap import SecretReference, TierMap

HOST = "127.0.0.1"
PORT = 8080
BODY_BYTES_MAX = 10 * 1024 * 1024
"""Runpod accepts no more than 10 MB on ``/run`` (reference of its queue endpoints)."""
DRAIN_SECONDS = 30.0
DRAIN_DELAY_SECONDS = 0.0
PROCESSES_MAX = 256
SPEED_MAX = 1000.0
SLOT_LEASE_SECONDS = 30
"""As ``gateway.budget.ledger`` has it; nothing of the server is loaded to read settings."""
RECORDS_MAX = 100_000
RECORDS_DAYS = 30
RUNPOD_URL = "https://api.runpod.io"
"""Of REST v2."""
_WHOLE_NUMBERS = {
    "port": (0, 65_535),
    "body_bytes_max": (0, 2**31),
    "processes": (1, PROCESSES_MAX),
    "slot_lease_seconds": (1, 300),
    "records_max": (1_000, 100_000_000),
    "records_days": (1, 3_650),
}
"""Setting → its least and its greatest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a gateway is started with; ``docs/configuration.md`` lists where each comes from."""

    tiers_file: Path
    fleet_state: Path | None = None
    """Where ``tiergate-deploy`` keeps the addresses of deployed endpoints; beside the tier map where it is not said."""
    host: str = HOST
    port: int = PORT
    store: str | None = field(default=None, repr=False)
    """Overrides the tier map's ``store``; may hold a password."""
    state_directory: Path = Path(".tiergate")
    """Where the embedded store keeps its data."""
    body_bytes_max: int = BODY_BYTES_MAX
    drain_seconds: float = DRAIN_SECONDS
    """How long open answers may go on after SIGTERM."""
    drain_delay_seconds: float = DRAIN_DELAY_SECONDS
    """How long connections are still accepted after SIGTERM, for load balancers to notice; ``drain_seconds`` follow."""
    admin_key: SecretReference | None = None
    """Where the key is read that may change what is served; without it nobody may."""
    admin_listen: tuple[str, int] | None = None
    """Host and port at which alone the admin API is served; ``None`` where it is at the gateway's own address."""
    key_pepper: SecretReference | None = None
    """Where the secret is read that goes into what is kept of virtual keys; without it one is made in
    ``state_directory``. All gateways of one store need the same."""
    runpod_speed: float = 1.0
    """How many seconds pass on Runpod's clock in each real one; other than 1 only with an emulator."""
    slot_lease_seconds: int = SLOT_LEASE_SECONDS
    """How long a slot stays taken without word from the process that took it."""
    records_max: int = RECORDS_MAX
    """How many records of requests the store keeps, about."""
    records_days: int = RECORDS_DAYS
    """For how many days it keeps them."""
    runpod_key: SecretReference | None = None
    """Where Runpod's key is read, for its bill alone; without it the bill is not read."""
    runpod_url: str = RUNPOD_URL
    """Where Runpod's REST API is."""
    processes: int = 1
    """How many processes serve; where there is more than one, another starts and watches them."""

    @property
    def map_files(self) -> tuple[Path, Path]:
        """The tier map, and where the addresses of its deployed endpoints are, should there be any."""
        return self.tiers_file, state_file(self.tiers_file, self.fleet_state)


class SettingsInvalid(ValueError):
    """A setting or secret cannot be used; the message names each place and the remedy."""


ENVIRONMENT = {
    "TIERGATE_TIERS": "tiers_file",
    "TIERGATE_FLEET_STATE": "fleet_state",
    "TIERGATE_HOST": "host",
    "TIERGATE_PORT": "port",
    "TIERGATE_STORE": "store",
    "TIERGATE_STATE_DIRECTORY": "state_directory",
    "TIERGATE_BODY_BYTES_MAX": "body_bytes_max",
    "TIERGATE_DRAIN_SECONDS": "drain_seconds",
    "TIERGATE_DRAIN_DELAY_SECONDS": "drain_delay_seconds",
    "TIERGATE_ADMIN_KEY": "admin_key",
    "TIERGATE_ADMIN_LISTEN": "admin_listen",
    "TIERGATE_KEY_PEPPER": "key_pepper",
    "TIERGATE_SLOT_LEASE_SECONDS": "slot_lease_seconds",
    "TIERGATE_RECORDS_MAX": "records_max",
    "TIERGATE_RECORDS_DAYS": "records_days",
    "TIERGATE_PROCESSES": "processes",
    "TIERGATE_RUNPOD_SPEED": "runpod_speed",
    "TIERGATE_RUNPOD_KEY": "runpod_key",
    "TIERGATE_RUNPOD_URL": "runpod_url",
}
"""Variable → setting."""


def read_settings(arguments: Mapping[str, object]) -> Settings:
    """Settings from ``arguments`` (by setting's name, ``None`` is not given), else the environment, else the defaults.

    Raises:
        SettingsInvalid: A value is missing or cannot be read.
    """
    given: dict[str, Any] = {}
    for variable, name in ENVIRONMENT.items():
        value, source = arguments.get(name), f"--{name.replace('_', '-')}"
        if value is None:
            value, source = os.environ.get(variable), variable
        if value is not None:
            given[name] = _converted(name, str(value), source)
    if "tiers_file" not in given:
        raise SettingsInvalid("no tier map: give --tiers FILE or set TIERGATE_TIERS")
    settings = Settings(**given)
    if settings.admin_listen is not None:
        _check_admin(settings, settings.admin_listen[1])
    return settings


def _check_admin(settings: Settings, port: int) -> None:
    if settings.admin_key is None:
        raise SettingsInvalid("--admin-listen: nobody may use the admin API without an admin key: give --admin-key too")
    if port == settings.port:
        raise SettingsInvalid(f"--admin-listen: {port} is the gateway's own port; give another one")


def _converted(name: str, value: str, source: str) -> object:
    if name in {"tiers_file", "fleet_state", "state_directory"}:
        return Path(value)
    if name in _WHOLE_NUMBERS:
        least, greatest = _WHOLE_NUMBERS[name]
        if not (value.isascii() and value.isdecimal()) or not least <= int(value) <= greatest:
            raise SettingsInvalid(f"{source}: {value!r} is not a whole number from {least} to {greatest}")
        return int(value)
    if name in _READ_BY:
        return _READ_BY[name](value, source)
    if name in {"drain_seconds", "drain_delay_seconds"}:
        seconds = _seconds(value)
        if seconds is None:
            raise SettingsInvalid(f"{source}: {value!r} is not a number of seconds")
        return seconds
    if name == "runpod_speed":
        speed = _seconds(value)
        if speed is None or not 0 < speed <= SPEED_MAX:
            raise SettingsInvalid(f"{source}: {value!r} is not a number above 0, at most {SPEED_MAX:g}")
        return speed
    return value


def _address(value: str, source: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) <= _WHOLE_NUMBERS["port"][1]:
        raise SettingsInvalid(f"{source}: {value!r} is no address; write HOST:PORT, such as 127.0.0.1:8081")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _reference(value: str, source: str) -> SecretReference:
    try:
        return secret_reference(value)
    except ValueError:  # its text may hold what was meant to be a secret
        raise SettingsInvalid(
            f"{source}: says where the key is read: env:NAME or file:PATH, and is not the key itself"
        ) from None


_READ_BY: dict[str, Callable[[str, str], object]] = {
    "admin_key": _reference,
    "key_pepper": _reference,
    "runpod_key": _reference,
    "admin_listen": _address,
}
"""Setting → what reads it, given where it comes from."""


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def secret_references(tier_map: TierMap) -> Iterator[SecretReference]:
    """Every secret that the tier map names, some perhaps more than once."""
    for key in tier_map.keys:
        if key.secret is not None:
            yield key.secret
    for tier in tier_map.tiers.values():
        for endpoint in tier.endpoints:
            if endpoint.api_key is not None:
                yield endpoint.api_key
    for budget in tier_map.budgets:
        if budget.alerts is not None and isinstance(budget.alerts.webhook, SecretReference):
            yield budget.alerts.webhook


def read_secrets(references: Iterable[SecretReference]) -> dict[SecretReference, str]:
    """The secret behind each reference, stripped of white space at its ends.

    Raises:
        SettingsInvalid: Some cannot be read; the message names all of them, never a value.
    """
    secrets: dict[SecretReference, str] = {}
    problems: list[str] = []
    for reference in dict.fromkeys(references):
        try:
            value = _read(reference).strip()
        except (KeyError, OSError, UnicodeDecodeError) as error:
            problems.append(f"{reference}: {_why(reference, error)}")
            continue
        if not value or not value.isascii() or not value.isprintable():
            problems.append(f"{reference}: is empty or holds characters that no HTTP header can carry")
        secrets[reference] = value
    if problems:
        raise SettingsInvalid("secrets cannot be read:\n  " + "\n  ".join(problems))
    return secrets


def _read(reference: SecretReference) -> str:
    if reference.scheme == "env":
        return os.environ[reference.name]
    return Path(reference.name).read_text(encoding="utf-8")


def _why(reference: SecretReference, error: Exception) -> str:
    if reference.scheme == "env":
        return f"the environment has no variable {reference.name}; set it before starting the gateway"
    return f"the file cannot be read ({type(error).__name__}); check its path and permissions"


def admin_digest(settings: Settings) -> str:
    """What is kept of the admin key, its SHA-256 in hex; empty where there is none.

    Raises:
        SettingsInvalid: It cannot be read.
    """
    if settings.admin_key is None:
        return ""
    return hashlib.sha256(read_secrets([settings.admin_key])[settings.admin_key].encode()).hexdigest()


def check_runpod(settings: Settings) -> None:
    """Raise ``SettingsInvalid`` where Runpod's key is named and cannot be read."""
    if settings.runpod_key is not None:
        read_secrets([settings.runpod_key])


def key_pepper(settings: Settings) -> bytes:
    """The secret that goes into what is kept of virtual keys.

    Raises:
        SettingsInvalid: It can be neither read nor made.
    """
    if settings.key_pepper is not None:
        return read_secrets([settings.key_pepper])[settings.key_pepper].encode()
    try:
        return pepper_in(settings.state_directory)
    except OSError as error:
        raise SettingsInvalid(f"the pepper of keys cannot be made in {settings.state_directory}: {error}") from error


def read_secret(reference: str, source: str) -> str:
    """The secret behind a reference that a command line gave as ``source``.

    Raises:
        SettingsInvalid: It is no reference, or cannot be read.
    """
    where = _reference(reference, source)
    return read_secrets([where])[where]
