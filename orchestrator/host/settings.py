"""Settings of what hosts Flows, beside those of ``orchestrator.settings``.

    TIERGATE_RUNS             where runs are kept: redis://…, rediss://…, unix://…, or a directory
    TIERGATE_RUNS_DAYS        for how many days a run is kept after its end; 0 for ever
    TIERGATE_APP_TOKEN        what callers have to show as X-Tiergate-Token; nobody is asked for one where it is not set
    TIERGATE_APP_TOKEN_FILE   a file that holds it, instead
    TIERGATE_EDGE_URL         the balancer's address of this app, {endpoint} in it stands for RUNPOD_ENDPOINT_ID;
                              https://{endpoint}.api.runpod.ai where it is not set and RUNPOD_AI_API_KEY is
    RUNPOD_ENDPOINT_ID, RUNPOD_POD_ID, RUNPOD_AI_API_KEY    set by Runpod in each worker

A Redis is never read from REDIS_URL: CrewAI would take locks in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from orchestrator.errors import SettingsInvalid
from orchestrator.host.forgetting import RUNS_DAYS
from orchestrator.settings import Secret

RUNS_DIRECTORY: Final = ".tiergate/runs"
"""Where runs are kept unless TIERGATE_RUNS says otherwise; with a worker's name below it where it has one."""
STORE_SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
RUNS_DAYS_MAX: Final = 3650
_ENDPOINT: Final = "{endpoint}"
_EDGE: Final = f"https://{_ENDPOINT}.api.runpod.ai"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What hosts Flows is told by its environment.

    Attributes:
        runs: A store's URL, which may hold a password, or a directory.
        runs_days: For how many days a run is kept after its end; 0 for ever.
        token: What callers have to show, ``None`` for nothing.
        worker: This worker's name at the balancer, empty where there is none.
        edge_url: Where the balancer serves this app, empty where there is none.
        edge_key: What the balancer's edge asks for, ``None`` for nothing.
    """

    runs: Secret | Path
    runs_days: int = RUNS_DAYS
    token: Secret | None = None
    worker: str = ""
    edge_url: str = ""
    edge_key: Secret | None = None

    @property
    def shared(self) -> bool:
        """Whether other workers see the runs too."""
        return isinstance(self.runs, Secret)


def read_host_settings(environ: Mapping[str, str]) -> HostSettings:
    """The settings as ``environ`` gives them.

    Raises:
        SettingsInvalid: A store's URL is of no kind that is known, the days are no number of them, or the token is
            given twice, is empty, cannot be read or cannot be sent in a header.
    """
    worker, endpoint = environ.get("RUNPOD_POD_ID", ""), environ.get("RUNPOD_ENDPOINT_ID", "")
    key = environ.get("RUNPOD_AI_API_KEY", "")
    return HostSettings(
        runs=_runs(environ.get("TIERGATE_RUNS", "").strip(), worker),
        runs_days=_runs_days(environ.get("TIERGATE_RUNS_DAYS", "").strip()),
        token=_token(environ),
        worker=worker,
        edge_url=_edge_url(environ.get("TIERGATE_EDGE_URL") or (_EDGE if endpoint and key else ""), endpoint),
        edge_key=Secret(key) if key else None,
    )


def _edge_url(url: str, endpoint: str) -> str:
    """``url`` with the endpoint's id in its place; none where it has such a place and there is no endpoint."""
    return "" if _ENDPOINT in url and not endpoint else url.replace(_ENDPOINT, endpoint).rstrip("/")


def _runs(value: str, worker: str) -> Secret | Path:
    if not value:
        return Path(RUNS_DIRECTORY, worker) if worker else Path(RUNS_DIRECTORY)
    scheme, separator, _ = value.partition("://")
    if not separator:
        return Path(value)
    if scheme not in STORE_SCHEMES or (scheme != "unix" and not urlsplit(value).hostname):
        raise SettingsInvalid(
            f"TIERGATE_RUNS begins with {scheme}://. Give redis://HOST:PORT/NUMBER, rediss://…, unix://PATH, or a "
            "directory."
        )
    return Secret(value)


def _runs_days(value: str) -> int:
    if not value:
        return RUNS_DAYS
    if not (value.isascii() and value.isdigit() and int(value) <= RUNS_DAYS_MAX):
        raise SettingsInvalid(
            f"TIERGATE_RUNS_DAYS is {value!r}. Give a whole number of days, at most {RUNS_DAYS_MAX}, or 0 for ever."
        )
    return int(value)


def _token(environ: Mapping[str, str]) -> Secret | None:
    value, file = environ.get("TIERGATE_APP_TOKEN", "").strip(), environ.get("TIERGATE_APP_TOKEN_FILE", "")
    if value and file:
        raise SettingsInvalid("TIERGATE_APP_TOKEN and TIERGATE_APP_TOKEN_FILE are both set. Keep one of them.")
    if file:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"TIERGATE_APP_TOKEN_FILE: cannot read {file}.") from error
        if not value:
            raise SettingsInvalid(f"TIERGATE_APP_TOKEN_FILE: {file} is empty. Write the token into it.")
    if not value:
        return None
    if not (value.isascii() and value.isprintable()):
        raise SettingsInvalid("The app's token holds characters that cannot be sent in a header.")
    return Secret(value)
