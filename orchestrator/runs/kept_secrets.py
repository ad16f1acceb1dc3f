"""Secrets that must never be kept: a store is read by more people than the environment is."""

import json
from collections.abc import Collection, Iterator

from pydantic import JsonValue

from orchestrator.errors import ValueNotKept
from orchestrator.settings import Secret

_LENGTH_MIN = 8
_INSTEAD = "***"


class KeptSecrets:
    """Knows the secrets of this process: the gateway's key, the store's password.

    One that is shorter than eight characters is only recognised where it stands alone: it could be any word.
    """

    def __init__(self, secrets: Collection[Secret] = ()) -> None:
        self._values = sorted({secret.reveal() for secret in secrets} - {""}, key=len, reverse=True)
        self._long = [value for value in self._values if len(value) >= _LENGTH_MIN]

    def refuse(self, value: JsonValue, *, where: str) -> None:
        """Raise ``ValueNotKept`` where a secret is in ``value``; the message names the place, not the secret."""
        for place, text in _texts(value, where) if self._values else ():
            if text in self._values or any(secret in text for secret in self._long):
                raise ValueNotKept(
                    f"{place} holds the gateway's key or the store's password, and secrets are not kept: "
                    "read it where it is used, and keep it out of outputs and the state."
                )

    def without(self, text: str) -> str:
        """``text`` with each secret replaced: for messages, which are not the Flow's own values."""
        for secret in self._long:
            text = text.replace(secret, _INSTEAD)
        return text

    def scrubbed(self, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """``value`` with each secret in its texts replaced."""
        if not any(secret in text for _, text in _texts(value, "") for secret in self._long):
            return value
        text = json.dumps(value)
        for secret in self._long:
            text = text.replace(json.dumps(secret)[1:-1], _INSTEAD)
        scrubbed: dict[str, JsonValue] = json.loads(text)
        return scrubbed


def _texts(value: JsonValue, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, f"{where}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(name, where)
            yield from _texts(item, f"{where}.{name}")
