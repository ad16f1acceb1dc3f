"""The only reader of the environment: where the gateway is, the key for it, and how CrewAI must be set up.

    TIERGATE_URL        the gateway's address, ending in /v1; http://127.0.0.1:8080/v1 where it is not set
    TIERGATE_KEY        the key that the gateway knows this orchestrator by
    TIERGATE_KEY_FILE   a file that holds the key, instead of TIERGATE_KEY

What hosts Flows reads a few more: see ``orchestrator.host.settings``.

Agents know a tier's name and nothing of this. ``bind`` makes one ``Settings`` the current one for everything
that runs inside it; code outside any binding gets what the environment says.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import SettingsInvalid

DEFAULT_URL = "http://127.0.0.1:8080/v1"

# CrewAI reads these while it is imported or at a Flow's first start. Telemetry would try to reach its makers'
# servers and hold up the process' end for about 12 s where there is no network; tracing would ask questions
# on a terminal.
CREWAI_ENVIRONMENT = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "ANONYMIZED_TELEMETRY": "false",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never shows itself: ``reveal()`` is the only way to it."""

    _value: str

    def reveal(self) -> str:
        """The secret itself, for the one place that must send it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the gateway is and the key for it. ``url`` has no trailing slash."""

    url: str
    key: Secret


_bound: ContextVar[Settings | None] = ContextVar("tiergate_settings", default=None)


def read_settings(environ: Mapping[str, str] | None = None, *, url: str | None = None) -> Settings:
    """The settings as ``environ`` (the process' own where it is ``None``) gives them; ``url`` overrides
    TIERGATE_URL.

    Raises ``SettingsInvalid`` where the address is no http(s) URL, where no key is given, where it is given
    twice, or where its file cannot be read.
    """
    environ = os.environ if environ is None else environ
    source = "--gateway" if url else "TIERGATE_URL"
    return Settings(url=_checked_url(url or environ.get("TIERGATE_URL") or DEFAULT_URL, source), key=_key(environ))


@contextmanager
def bind(settings: Settings) -> Iterator[None]:
    """Make ``settings`` the current ones in this context and in every task and thread started from it."""
    token = _bound.set(settings)
    try:
        yield
    finally:
        _bound.reset(token)


def current_settings() -> Settings:
    """The bound settings, else the environment's. Raises ``SettingsInvalid`` as ``read_settings`` does."""
    return _bound.get() or read_settings()


def are_bound() -> bool:
    """Whether settings are bound here: this is a run of the orchestrator, or somebody said ``bind``."""
    return _bound.get() is not None


def environment() -> Mapping[str, str]:
    """The process' own environment, for a part of this program that reads settings of its own."""
    return os.environ


def prepare_crewai(environ: MutableMapping[str, str] | None = None) -> None:
    """Set what CrewAI must find in the environment before it is first imported.

    Telemetry, tracing and the version check are off unless the environment already says otherwise. CrewAI
    makes folders in the home folder while it is imported: where that cannot be written, HOME becomes a
    temporary one.
    """
    environ = os.environ if environ is None else environ
    for name, value in CREWAI_ENVIRONMENT.items():
        environ.setdefault(name, value)
    home = environ.get("HOME", "")
    if not (home and os.access(home, os.W_OK | os.X_OK)):
        environ["HOME"] = tempfile.mkdtemp(prefix="tiergate-home-")


def _checked_url(url: str, source: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise SettingsInvalid(f"{source} is not an http or https address: {url!r}. Example: {DEFAULT_URL}")
    if parts.username or parts.password:
        raise SettingsInvalid(f"{source} holds credentials. Give the key as TIERGATE_KEY instead.")
    return url.rstrip("/")


def _key(environ: Mapping[str, str]) -> Secret:
    value, file = environ.get("TIERGATE_KEY", "").strip(), environ.get("TIERGATE_KEY_FILE", "")
    if value and file:
        raise SettingsInvalid("TIERGATE_KEY and TIERGATE_KEY_FILE are both set. Keep one of them.")
    if file:
        value = _key_from(Path(file))
    if not value:
        raise SettingsInvalid(
            "No key for the gateway. Set TIERGATE_KEY to it, or TIERGATE_KEY_FILE to a file that holds it."
        )
    if not (value.isascii() and value.isprintable()):
        raise SettingsInvalid(
            "The gateway's key holds characters that cannot be sent in a header. Copy it again, on one line."
        )
    return Secret(value)


def _key_from(file: Path) -> str:
    try:
        value = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsInvalid(f"TIERGATE_KEY_FILE: cannot read {file}: {reason}.") from error
    if not value:
        raise SettingsInvalid(f"TIERGATE_KEY_FILE: {file} is empty. Write the gateway's key into it.")
    return value
