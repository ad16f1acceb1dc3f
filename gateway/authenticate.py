"""First step: who calls. Adds ``exchange.caller``.

The tier map's keys go before virtual ones. Keys are kept as digests and looked up by digest, so the time it takes says
nothing about a key. SHA-256 needs no stretching here: keys are random, not chosen by people.
"""

import hashlib
from collections.abc import Awaitable, Mapping
from fnmatch import fnmatchcase
from typing import Final, Protocol

from gateway.errors import AgentNotAllowed, KeyExpired, Unauthorized
from gateway.exchange import Caller
from gateway.keys.secret import looks_like_one
from gateway.wire.request_head import RequestHead

_BEARER: Final = b"bearer "


def digest(key: bytes) -> str:
    """What is kept of a key: its SHA-256, here in hex."""
    return hashlib.sha256(key).hexdigest()


class VirtualKeys(Protocol):
    """Keys that are made while the gateway runs: ``gateway.keys.ring.KeyRing``."""

    def find(self, digest: bytes) -> Caller | None:
        """The caller whose key has this SHA-256, as far as this process knows. Raises ``StoreUnavailable``."""

    def look_up(self, digest: bytes) -> Awaitable[Caller | None]:
        """The same, after the store was asked. Raises ``StoreUnavailable``."""


class Authenticator:
    """Knows every caller by the digest of its key."""

    def __init__(self, callers: Mapping[str, Caller], virtual: VirtualKeys | None = None) -> None:
        """``callers``: hex SHA-256 of the key → the caller. ``virtual`` knows those that are not among them."""
        self._virtual = virtual
        # As bytes, whose hashes stand beside them: another key's digest is not even looked at.
        self._callers = {bytes.fromhex(each): caller for each, caller in callers.items()}
        self._names = {caller.name for caller in callers.values()}

    async def __call__(self, authorization: bytes | None, api_key: bytes | None = None) -> Caller:
        """The caller whose key was sent as ``Authorization: Bearer`` or, by Anthropic's clients, as ``x-api-key``.

        Raises:
            Unauthorized: No key was sent, or no caller has it.
            StoreUnavailable: It may be a virtual key, and the store cannot be asked.
        """
        key = _sent(authorization, api_key)
        digest_sent = hashlib.sha256(key).digest()
        caller = self._known(digest_sent)
        return caller if caller is not None else await self._looked_up(digest_sent, key)

    def at_once(self, head: RequestHead) -> Caller | None:
        """The caller of a request's head, as far as this process knows; see ``of``.

        The head keeps the digest: only that is worked out once, not whose it is.
        """
        if not head.key_digest:
            head.key_digest = hashlib.sha256(_sent(head.authorization, head.api_key)).digest()
        return self._known(head.key_digest)

    async def of(self, head: RequestHead) -> Caller:
        """The caller of a request's head; raises as a call does."""
        caller = self.at_once(head)
        if caller is not None:
            return caller
        return await self._looked_up(head.key_digest, _sent(head.authorization, head.api_key))

    def _known(self, sent: bytes) -> Caller | None:
        caller = self._callers.get(sent)
        if caller is None and self._virtual is not None:
            caller = self._virtual.find(sent)
            if caller is not None:
                self._check_name(caller)
        return caller

    async def _looked_up(self, sent: bytes, key: bytes) -> Caller:
        caller: Caller | None = None
        if self._virtual is not None and looks_like_one(key):
            caller = await self._virtual.look_up(sent)
        if caller is None:
            raise Unauthorized("The key is not known here. Use one of the tier map's keys, or a virtual one.")
        self._check_name(caller)
        return caller

    def _check_name(self, caller: Caller) -> None:
        """Two keys of one name would share budgets and see each other's records."""
        if caller.name in self._names:
            raise Unauthorized(
                f"The tier map has a key called {caller.name!r} now, so the virtual key of that name is not taken."
                " Have one made under another name."
            )


def check_time(caller: Caller, unix: float) -> None:
    """The key is still taken. Raises ``KeyExpired``."""
    if caller.expires_unix is not None and unix >= caller.expires_unix:
        raise KeyExpired(f"The key {caller.name!r} has expired. Ask whoever gave it to you for another one.")


def check_agent(caller: Caller, agent: str) -> None:
    """The agent may use the key. Raises ``AgentNotAllowed``."""
    if caller.agents is None or (agent and any(fnmatchcase(agent, each) for each in caller.agents)):
        return
    who = f"the agent {agent!r}" if agent else "a request without an agent's name (x-tiergate-agent)"
    raise AgentNotAllowed(f"The key {caller.name!r} is not for {who}.", param="x-tiergate-agent")


def _sent(authorization: bytes | None, api_key: bytes | None) -> bytes:
    if authorization is not None and authorization[:7].lower() == _BEARER:
        return authorization[7:].strip()
    if api_key is not None:
        return api_key.strip()
    raise Unauthorized("No key was sent. Send one of the tier map's keys as 'Authorization: Bearer KEY'.")
