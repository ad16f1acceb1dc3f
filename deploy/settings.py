"""The deploy tool's only reader of the environment, and the maker of its children's environments.

``TIERGATE_DEMO_KEY``: the key with which the local system is called. Unset or empty, every start makes a
fresh one. ``PATH``: where programs are looked for that are not beside this one. Other variables are read only
where the tier map names them (``env:NAME``).
"""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import BadUsage

DEMO_KEY_VARIABLE = "TIERGATE_DEMO_KEY"
_ORCHESTRATORS = ("TIERGATE_URL", "TIERGATE_KEY", "TIERGATE_KEY_FILE")
"""What somebody's own orchestrator is told; the one that is started here is told other things."""
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment as it was read once; its values never show in ``repr``."""

    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls) -> "Settings":
        """Read this process's environment."""
        return cls(environment=dict(os.environ))

    @property
    def path(self) -> str:
        """Where programs are looked for, in the form of ``PATH``."""
        return self.environment.get("PATH", "")

    def secret(self, reference: str) -> str:
        """The secret behind ``env:NAME`` or ``file:PATH``; white space around it is not part of it.

        Raises:
            BadUsage: The reference has another form, or there is no secret behind it.
        """
        scheme, _, name = reference.partition(":")
        match scheme:
            case "env" if name:
                value = self.environment.get(name, "")
            case "file" if name:
                value = _read(Path(name))
            case _:
                raise BadUsage(
                    "the API key was not given as a reference",
                    remedy="give it as env:NAME or file:PATH, so that it does not show in the process list",
                )
        if not value.strip():
            raise BadUsage(f"there is no secret in {reference}", remedy=f"put the key into {reference}")
        return value.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnvironments:
    """What each kind of child sees of the environment, with the key of this start; never in ``repr``."""

    demo_key: str = field(repr=False)
    emulator: Mapping[str, str] = field(repr=False)
    """Also of every worker, which gets its endpoint's own environment in addition."""
    gateway: Mapping[str, str] = field(repr=False)


def child_environments(
    settings: Settings, *, emulator_key: str, emulator_secrets: Iterable[str], all_secrets: Iterable[str]
) -> ChildEnvironments:
    """The environments of one start.

    Args:
        settings: What this process was started with.
        emulator_key: The key that the emulator asks for.
        emulator_secrets: Variables from which the gateway reads that key; what they hold here, perhaps the key
            of a real account, is not for an emulator.
        all_secrets: Every variable that the tier map names as a secret. The gateway needs them; workers must
            not have them: agents know a tier's name, the gateway's URL and their own key.
    """
    emulator_secrets = tuple(emulator_secrets)
    demo_key = settings.environment.get(DEMO_KEY_VARIABLE, "").strip() or f"tg-{secrets.token_hex(20)}"
    gateway = {**settings.environment, DEMO_KEY_VARIABLE: demo_key, **dict.fromkeys(emulator_secrets, emulator_key)}
    hidden = {*all_secrets, *emulator_secrets, DEMO_KEY_VARIABLE, *_ORCHESTRATORS}
    emulator = {name: value for name, value in settings.environment.items() if name not in hidden}
    # A proxy for the outside world must not be asked for addresses of this machine.
    for variable in ("NO_PROXY", "no_proxy"):
        emulator[variable] = ",".join(
            dict.fromkeys([*filter(None, settings.environment.get(variable, "").split(",")), *_LOOPBACK])
        )
    return ChildEnvironments(demo_key=demo_key, emulator=emulator, gateway=gateway)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"cannot read the secret in file:{file}: {error}", remedy="check the path") from error
