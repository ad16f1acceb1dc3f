"""Addresses and references to secrets as operators write them → checked values.

No text that is refused here is repeated: a key may have been pasted where only its reference belongs.
"""

import re
from urllib.parse import SplitResult, urlsplit

from tiers.problems import Refused
from tiers.tiermap import SecretReference

EMBEDDED = "embedded"
"""The store that the gateway starts and stops itself."""

SENTINEL_PORT = 26379
CLUSTER_PORT = 6379

_PORT_MAX = 65_535
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?", re.ASCII)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?", re.ASCII)
_URL_CHARACTERS = re.compile(r"[!-~]+", re.ASCII)


def endpoint_url(text: str) -> str:
    """An endpoint's base URL: http or https, a host, perhaps a port and a path; loses its trailing slash."""
    remedy = "write the URL up to and including /v1, such as http://127.0.0.1:9100/v1"
    parts = _split(text, remedy)
    if parts.scheme not in {"http", "https"}:
        raise Refused("the URL is neither http nor https", remedy)
    if "@" in parts.netloc:
        raise Refused("the URL holds a user name or password", "take it out; put a key into api_key: env:NAME")
    if "?" in text or "#" in text:
        raise Refused("the URL holds a query or fragment", "end it with its path; put a key into api_key: env:NAME")
    if not _HOST.fullmatch(parts.hostname or ""):
        raise Refused("the URL names no valid host", remedy)
    return text.rstrip("/")


def store_url(text: str) -> str:
    """``embedded``, or the address of a Redis or Valkey: ``redis://``, ``rediss://`` or ``unix://``; of Sentinels or a
    cluster: ``redis+sentinel://``, ``redis+cluster://``, and both with ``rediss``.
    """
    if text == EMBEDDED:
        return text
    if re.match(r"rediss?\+", text):
        return _several(text)
    remedy = "write embedded, redis://host:6379/0, rediss://host:6380/0 or unix:///path/to/socket"
    parts = _split(text, remedy)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise Refused("the store is neither embedded nor a redis, rediss or unix URL", remedy)
    if parts.scheme == "unix" and not parts.path.strip("/"):
        raise Refused("the store's URL names no socket", remedy)
    if parts.scheme != "unix" and not _HOST.fullmatch(parts.hostname or ""):
        raise Refused("the store's URL names no valid host", remedy)
    return text


def store_nodes(text: str, port: int) -> tuple[tuple[str, int], ...]:
    """``HOST:PORT,HOST:PORT`` → hosts and ports, ``port`` where none is named; at least one."""
    nodes: list[tuple[str, int]] = []
    for part in text.split(","):
        found = _NODE.fullmatch(part)
        number = int(found[3] or port) if found else 0
        if not found or not 0 < number <= _PORT_MAX:
            raise Refused(
                "the store's URL names a server whose host or port is not valid", "write host:port,host:port,…"
            )
        nodes.append((found[1] or found[2], number))
    return tuple(nodes)


def _several(text: str) -> str:
    """The same of a URL that names several servers."""
    kind, scheme = text.partition("://")[0].partition("+")[2], text.partition("://")[0]
    remedy = "write redis+sentinel://host:26379,host:26379/service/0 or redis+cluster://host:6379,host:6379"
    if kind not in {"sentinel", "cluster"} or not text.startswith(f"{scheme}://"):
        raise Refused("the store is neither behind Sentinels nor in a cluster", remedy)
    if not _URL_CHARACTERS.fullmatch(text):
        raise Refused("the URL holds spaces or characters beyond ASCII", remedy)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Refused("the URL's host or port is not valid", remedy) from None
    store_nodes(parts.netloc.rpartition("@")[2], SENTINEL_PORT)
    path = parts.path.strip("/")
    if kind == "sentinel" and not re.fullmatch(r"[^/]+(/[0-9]+)?", path):
        raise Refused("the store's URL names no service of the Sentinels", remedy)
    if kind == "cluster" and path not in {"", "0"}:
        raise Refused("the store's URL names a database, of which a cluster has only the one numbered 0", remedy)
    return text


def secret_reference(text: str) -> SecretReference:
    """``env:NAME`` or ``file:PATH``."""
    scheme, _, name = text.partition(":")
    if scheme == "env" and _ENVIRONMENT_NAME.fullmatch(name):
        return SecretReference("env", name)
    if scheme == "file" and name.strip() and name.isprintable():
        return SecretReference("file", name)
    raise Refused(
        "must say where the secret is, not the secret itself",
        "put the secret into an environment variable or a file and write env:NAME or file:PATH",
    )


def webhook(text: str) -> SecretReference | str:
    """Where an alert is sent: an http or https URL, perhaps with a query, or where that is to be read."""
    return webhook_url(text) if re.match(r"https?:", text, re.IGNORECASE) else _webhook_reference(text)


def webhook_url(text: str) -> str:
    """The URL of a webhook. Its path and query often hold a secret, so no message repeats them."""
    remedy = "write a URL such as https://hooks.example.com/budgets"
    parts = _split(text, remedy)
    if parts.scheme not in {"http", "https"}:
        raise Refused("the webhook's URL is neither http nor https", remedy)
    if "@" in parts.netloc or "#" in text:
        raise Refused("the webhook's URL holds a user, a password or a fragment", "take it out")
    if not _HOST.fullmatch(parts.hostname or ""):
        raise Refused("the webhook's URL names no valid host", remedy)
    return text


def _webhook_reference(text: str) -> SecretReference:
    try:
        return secret_reference(text)
    except Refused:
        raise Refused(
            "is no webhook", "write its URL, https://…, or where that is to be read: env:NAME or file:PATH"
        ) from None


def key_hash(text: str) -> str:
    """A key's SHA-256: 64 hexadecimal digits, with or without ``sha256:`` → the digits in lower case."""
    found = _HASH.fullmatch(text)
    if not found:
        raise Refused(
            "must be a SHA-256 in hexadecimal",
            'write sha256: and 64 hexadecimal digits: printf %s "$KEY" | sha256sum prints them',
        )
    return found[1].lower()


def _split(text: str, remedy: str) -> SplitResult:
    if not _URL_CHARACTERS.fullmatch(text):
        raise Refused("the URL holds spaces or characters beyond ASCII", remedy)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise Refused("the URL's host or port is not valid", remedy) from None
    if parts.port == 0:
        raise Refused("port 0 is no port to connect to", remedy)
    return parts
