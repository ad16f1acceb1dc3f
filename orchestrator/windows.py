"""How much each of the gateway's names holds: asked of the gateway once, since only the tier map knows."""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

import httpx

from orchestrator.settings import Settings

SECONDS_MAX: Final = 3.0
"""How long the gateway may take to tell; the answer is not worth a longer wait."""

Ask = Callable[[Settings], object]
"""Gets the document of ``GET /v1/models``; raises ``httpx.HTTPError`` or ``ValueError`` where there is none."""


def ask_gateway(settings: Settings) -> object:
    """The gateway's document of its models. Raises as ``Ask`` does."""
    headers = {"authorization": f"Bearer {settings.key.reveal()}"}
    answer = httpx.get(f"{settings.url}/models", headers=headers, timeout=SECONDS_MAX)
    return answer.raise_for_status().json()


class Windows:
    """The context windows of the names of every gateway that was asked, in tokens; from any thread."""

    def __init__(self, ask: Ask = ask_gateway) -> None:
        self._ask = ask
        self._known: dict[Settings, Mapping[str, int]] = {}
        self._lock = Lock()

    def learn(self, settings: Settings, document: object) -> None:
        """Take what the gateway said of its models: nobody has to ask it again."""
        with self._lock:
            self._known[settings] = _read(document)

    def of(self, settings: Settings, name: str) -> int | None:
        """The window of that name, ``None`` where the gateway does not tell.

        Asks it where nobody has yet, at most ``SECONDS_MAX`` seconds, and once: one that does not answer is not asked
        again.
        """
        known = self._known.get(settings)
        if known is None:
            with self._lock:
                if settings not in self._known:
                    self._known[settings] = self._asked(settings)
                known = self._known[settings]
        return known.get(name)

    def _asked(self, settings: Settings) -> Mapping[str, int]:
        try:
            return _read(self._ask(settings))
        except (httpx.HTTPError, ValueError):
            return {}


WINDOWS: Final = Windows()
"""This process's."""


def _read(document: object) -> dict[str, int]:
    """Name to window, of those that are told."""
    listed: Any = document.get("data") if isinstance(document, dict) else None
    models = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    # A gateway says ``context_window``; vLLM itself, where somebody uses one without a gateway, the other.
    told = {one.get("id"): one.get("context_window", one.get("max_model_len")) for one in models}
    return {name: size for name, size in told.items() if isinstance(name, str) and type(size) is int and size > 0}
