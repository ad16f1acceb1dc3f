"""Where an endpoint is: its base URL, taken apart once."""

from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An endpoint's base URL in the parts that a request needs.

    The base URL stands for what OpenAI calls ``/v1``: an operation under ``/v1/`` is appended to it without
    that segment. Any other operation, such as vLLM's ``/tokenize``, lives beside ``/v1``, so it is appended
    to the base URL without the ``/v1`` that the URL may end in::

        base URL                              /v1/models               /tokenize
        http://h:9100/v1                      /v1/models               /tokenize
        https://api.runpod.ai/v2/e/openai/v1  /v2/e/openai/v1/models   /v2/e/openai/tokenize
        http://h/x                            /x/models                /x/tokenize
    """

    secure: bool
    host: str
    """As it is connected to and as TLS checks it: a name in ASCII form, or an IP address without brackets."""
    port: int
    authority: bytes
    """The ``Host`` header's value: no port where it is the scheme's own."""
    versioned: bytes
    """What goes before an operation path whose ``/v1`` was taken off."""
    unversioned: bytes
    """What goes before any other operation path."""

    @property
    def name(self) -> str:
        """``host:port``, as messages name the endpoint."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def target(self, path: bytes) -> bytes:
        """The request target for an operation's path, which starts with a slash."""
        return self.versioned + path[3:] if path.startswith(b"/v1/") else self.unversioned + path


def parse_address(url: str) -> Address:
    """Take a base URL apart.

    Raises:
        ValueError: The URL cannot be called. The message does not repeat it: it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        explicit = parts.port
    except ValueError:  # its text holds a part of the URL
        raise ValueError("an endpoint's URL has a host and a port from 1 to 65535") from None
    if parts.scheme not in _PORTS:
        raise ValueError("an endpoint's URL starts with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an endpoint's URL holds no user or password; give its key as api_key")
    if parts.query or parts.fragment:
        raise ValueError("an endpoint's URL ends with its path; it has no query and no fragment")
    if not parts.hostname:
        raise ValueError("an endpoint's URL names a host")
    host = _ascii_host(parts.hostname)
    path = parts.path.rstrip("/")
    if not (path.isascii() and path.isprintable()) or " " in path:
        raise ValueError("the path of an endpoint's URL is printable ASCII without spaces; percent-encode the rest")
    port = _PORTS[parts.scheme] if explicit is None else explicit
    if port == 0:
        raise ValueError("an endpoint's URL has a host and a port from 1 to 65535")
    shown = f"[{host}]" if ":" in host else host
    return Address(
        secure=parts.scheme == "https",
        host=host,
        port=port,
        authority=(shown if port == _PORTS[parts.scheme] else f"{shown}:{port}").encode("ascii"),
        versioned=path.encode("ascii"),
        unversioned=path.removesuffix("/v1").encode("ascii"),
    )


def _ascii_host(host: str) -> str:
    """A host in the form that DNS, ``Host`` and certificates use."""
    try:
        encoded = host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError("the host of an endpoint's URL is not a valid name") from error
    if not (encoded.isascii() and encoded.isprintable()) or " " in encoded:
        raise ValueError("the host of an endpoint's URL is not a valid name")
    return encoded
