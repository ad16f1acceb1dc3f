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
    """What each kind of child sees of the environment, with the keys of this start; never in ``repr``."""

    demo_key: str = field(repr=False)
    engine: Mapping[str, str] = field(repr=False)
    gateway: Mapping[str, str] = field(repr=False)
    orchestrator: Mapping[str, str] = field(repr=False)


def child_environments(
    settings: Settings, *, gateway_url: str, local_secrets: Iterable[str], all_secrets: Iterable[str]
) -> ChildEnvironments:
    """The environments of one start.

    Args:
        settings: What this process was started with.
        gateway_url: The gateway's base URL, ending in ``/v1``.
        local_secrets: Variables with the keys of engines that this system starts itself: missing ones are
            made up, as both sides of them are here.
        all_secrets: Every variable that the tier map names as a secret. The gateway needs them; agents must
            not have them: they know a tier's name, the gateway's URL and their own key.
    """
    complete = dict(settings.environment)
    for name in (DEMO_KEY_VARIABLE, *local_secrets):
        if not complete.get(name, "").strip():
            complete[name] = f"tg-{secrets.token_hex(20)}"
    hidden = {*all_secrets, *local_secrets, DEMO_KEY_VARIABLE}
    demo_key = complete[DEMO_KEY_VARIABLE].strip()
    orchestrator = {name: value for name, value in complete.items() if name not in hidden}
    orchestrator |= {"TIERGATE_URL": gateway_url, "TIERGATE_KEY": demo_key}
    # A proxy for the outside world must not be asked for addresses of this machine.
    for variable in ("NO_PROXY", "no_proxy"):
        orchestrator[variable] = ",".join(
            dict.fromkeys([*filter(None, complete.get(variable, "").split(",")), *_LOOPBACK])
        )
    return ChildEnvironments(demo_key=demo_key, engine=complete, gateway=complete, orchestrator=orchestrator)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"cannot read the secret in file:{file}: {error}", remedy="check the path") from error
