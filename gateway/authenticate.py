"""First step: who calls. Adds ``exchange.caller``.

Keys are kept as SHA-256 digests and looked up by digest, so the time it takes says nothing about a key. SHA-256 needs
no stretching here: keys are random, not chosen by people.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from gateway.errors import Unauthorized
from gateway.exchange import Caller
from gateway.wire.request_head import RequestHead

_BEARER: Final = b"bearer "


def digest(key: bytes) -> str:
    """What is kept of a key: its SHA-256, here in hex."""
    return hashlib.sha256(key).hexdigest()


class Authenticator:
    """Knows every caller by the digest of its key."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        """``callers``: hex SHA-256 of the key → the caller."""
        # As bytes, whose hashes stand beside them: another key's digest is not even looked at.
        self._callers = {bytes.fromhex(each): caller for each, caller in callers.items()}

    def __call__(self, authorization: bytes | None, api_key: bytes | None = None) -> Caller:
        """The caller whose key was sent as ``Authorization: Bearer`` or, by Anthropic's clients, as ``x-api-key``.

        Raises:
            Unauthorized: No key was sent, or no caller has it.
        """
        return self._known(_sent_digest(authorization, api_key))

    def of(self, head: RequestHead) -> Caller:
        """The same for a request's head, which keeps the digest: only that is worked out once, not whose it is."""
        if not head.key_digest:
            head.key_digest = _sent_digest(head.authorization, head.api_key)
        return self._known(head.key_digest)

    def _known(self, sent: bytes) -> Caller:
        caller = self._callers.get(sent)
        if caller is None:
            raise Unauthorized("The key is not known here. Use one of the tier map's keys.")
        return caller


def _sent_digest(authorization: bytes | None, api_key: bytes | None) -> bytes:
    if authorization is not None and authorization[:7].lower() == _BEARER:
        return hashlib.sha256(authorization[7:].strip()).digest()
    if api_key is not None:
        return hashlib.sha256(api_key.strip()).digest()
    raise Unauthorized("No key was sent. Send one of the tier map's keys as 'Authorization: Bearer KEY'.")
