"""Asks a running gateway something, as its commands do."""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.settings import read_secret

URL: Final = "http://127.0.0.1:8080"
ANSWER_SECONDS: Final = 60.0


class NotAnswered(Exception):
    """The gateway refused, or could not be asked; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedGateway:
    """Where a gateway is, and the key to show it by reference; errors name the options that said so."""

    url: str
    key: str
    url_option: str = "--gateway"
    key_option: str = "--gateway-key"

    def ask(self, path: str, *, method: str = "GET", body: object = None) -> str:
        """What it answers; ``body`` is sent as JSON.

        Raises:
            NotAnswered: It refused, or cannot be asked.
            SettingsInvalid: The key cannot be read.
        """
        url = urlsplit(self.url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise NotAnswered(f"{self.url_option}: {self.url!r} is no http:// or https:// address")
        headers = {"authorization": f"Bearer {read_secret(self.key, self.key_option)}"}
        sent = None
        if body is not None:
            headers["content-type"], sent = "application/json", json.dumps(body)
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(
                url.hostname, url.port, timeout=ANSWER_SECONDS, context=ssl.create_default_context()
            )
            if url.scheme == "https"
            else http.client.HTTPConnection(url.hostname, url.port, timeout=ANSWER_SECONDS)
        )
        try:
            connection.request(method, url.path.rstrip("/") + path, sent, headers)
            response = connection.getresponse()
            answer = response.read().decode()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotAnswered(f"{self.url}: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:  # noqa: PLR2004 - HTTP's border
            raise NotAnswered(_message(answer, response.status))
        return answer


def _message(answer: str, status: int) -> str:
    try:
        message: str = json.loads(answer)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return f"the gateway answered with status {status}"
    return message
