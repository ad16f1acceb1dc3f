"""The call that announces tiers to the gateway."""

from collections.abc import Mapping, Sequence
from typing import Final

import httpx
from pydantic import BaseModel, ValidationError

from orchestrator.settings import Settings

CALL_SECONDS_MAX: Final = 10.0
"""How long an announcement may take: the gateway answers when wakes were sent, which a load balancer draws out."""
PATH: Final = "/tiergate/v1/wake"


class NotAnnounced(Exception):
    """The gateway did not hear it, or refused it as a whole; the message says why."""


class _Told(BaseModel):
    name: str
    state: str
    message: str | None = None


class _Answer(BaseModel):
    data: list[_Told]


class WakeCall:
    """One gateway's. To be used from one thread."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url.removesuffix("/v1") + PATH
        self._key = settings.key
        self._client: httpx.Client | None = None

    def __call__(self, run: str, tiers: Sequence[str]) -> Mapping[str, str]:
        """Announce what ``run`` will need; what was refused, by name, with the reason.

        Raises:
            NotAnnounced: Nothing was.
        """
        try:
            answer = self._opened().post(self._url, json={"tiers": list(tiers), "run": run})
        except httpx.HTTPError as error:
            raise NotAnnounced(f"no answer from {self._url}: {type(error).__name__}") from error
        if answer.status_code != httpx.codes.ACCEPTED:
            raise NotAnnounced(f"{self._url} answers {answer.status_code}")
        try:
            told = _Answer.model_validate_json(answer.content).data
        except ValidationError as error:
            raise NotAnnounced(f"{self._url} answers with what is no list of tiers") from error
        return {each.name: each.message or "refused" for each in told if each.state == "refused"}

    def close(self) -> None:
        """Close what it opened."""
        if self._client is not None:
            self._client.close()

    def _opened(self) -> httpx.Client:
        if self._client is None:  # its certificates take some hundredths of a second, in the thread that calls
            self._client = httpx.Client(
                headers={"authorization": f"Bearer {self._key.reveal()}"},
                timeout=CALL_SECONDS_MAX,
                limits=httpx.Limits(max_keepalive_connections=0),  # announcements are seldom
            )
        return self._client
