"""What is refused of a head that a parser has read: whatever another reader of HTTP might read in another way.

The parser (llhttp, through httptools) refuses bytes that are no HTTP/1.1. It lets pass what is HTTP but has no meaning
here, or has one that a proxy before the gateway may see differently.
"""

import re
from collections.abc import Sequence
from typing import Final

from gateway.errors import InvalidRequest
from gateway.wire.headers import Header

HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+\])"  # RFC 3986's reg-name, IPv4address or IP-literal
    rb"(?::[0-9]{0,5})?"
)
"""A ``host`` that names one: RFC 9112, section 3.2, asks for 400 on any other."""
_VERSIONS: Final = ("1.0", "1.1")


def refuse_unclear(version: str, target: bytes, headers: Sequence[Header], *, upgrade: bool) -> None:
    """Check one request's head; names are in lower case.

    ``upgrade`` says that the parser takes what follows for another protocol.

    Raises:
        InvalidRequest: It is not clear, or not served.
    """
    if version not in _VERSIONS:
        raise InvalidRequest(f"HTTP/{version} is not served. Send HTTP/1.1.")
    encodings = [value for name, value in headers if name == b"transfer-encoding"]
    if encodings and (version == "1.0" or [one.lower() for one in encodings] != [b"chunked"]):
        raise InvalidRequest("The only transfer-encoding that is read is chunked, once, in HTTP/1.1.")
    if upgrade and (encodings or any(name == b"content-length" and value != b"0" for name, value in headers)):
        raise InvalidRequest("A request that asks for another protocol (upgrade) may have no body here.")
    if target.find(b"#") >= 0:
        raise InvalidRequest("The request's target has a fragment, which is never sent.")
    _refuse_host(version, target, [value for name, value in headers if name == b"host"])


def _refuse_host(version: str, target: bytes, hosts: Sequence[bytes]) -> None:
    if len(hosts) > 1:
        raise InvalidRequest("The request has more than one host header. Send one.")
    if not hosts and version == "1.1":
        raise InvalidRequest("The request has no host header. HTTP/1.1 asks for one.")
    if hosts and HOST.fullmatch(hosts[0]) is None:
        raise InvalidRequest("The request's host header is none: it must be a name or address, perhaps with a port.")
    if not target.startswith(b"/") and target != b"*":
        scheme, _, rest = target.partition(b"://")
        authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
        if scheme.lower() not in {b"http", b"https"} or authority not in hosts:
            raise InvalidRequest("The request's target is not a path, nor an address with the same host as its header.")
