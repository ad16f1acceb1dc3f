"""Makes, shows, rotates and revokes virtual keys, for the admin and for keys that may make some."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest, KeyExceedsMaker, KeyNotFound, StoreUnavailable
from gateway.exchange import Clock
from gateway.keys.audit import Entry
from gateway.keys.cabinet import Cabinet, Kept
from gateway.keys.form import read_key
from gateway.keys.rights import check_no_more
from gateway.keys.virtual import VirtualKey, ancestors, made

ADMIN: Final = "admin"
KEYS_MAX: Final = 10_000
"""Virtual keys of one store, revoked ones included."""
GRACE_SECONDS: Final = 3600.0
"""How long the old secret is taken after a rotation, where nothing else is said."""
GRACE_SECONDS_MAX: Final = 30 * 86_400.0
_TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who wants a change: the admin, or a virtual key by its id; and from which address."""

    by: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What is to be kept and noted."""

    what: str
    keys: tuple[VirtualKey, ...] = ()
    about: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Changes what the store keeps, and notes each change in the audit log. Every method raises ``StoreUnavailable``.

    Attributes:
        new_secret: Makes a key; ``kept`` says what is kept of it.
        tiers: The names that a key may be for now.
        taken: Names of the tier map's keys.
        changed: Has this process know at once what was changed.
    """

    cabinet: Cabinet
    clock: Clock
    new_secret: Callable[[], str]
    new_id: Callable[[], str]
    kept: Callable[[str], str]
    tiers: Callable[[], Collection[str]]
    taken: Callable[[], Collection[str]]
    changed: Callable[[], Awaitable[None]]
    report: Callable[..., None]

    async def asker(self, kept_of_secret: str, source: str) -> Asker | None:
        """The virtual key that asks, by what is kept of its secret; ``None`` where none has it that may make keys."""
        now = self.clock.unix()
        for key in (await self._all()).keys.values():
            old = key.previous == kept_of_secret and now < key.previous_until_unix
            if (key.digest == kept_of_secret or old) and key.works(now) and key.may_make_keys:
                return Asker(by=key.id, source=source)
        return None

    async def create(self, written: object, asker: Asker) -> tuple[VirtualKey, str]:
        """A new key, and its secret, which nobody can be told again.

        Raises:
            InvalidRequest: ``written`` asks for none that can be; see ``gateway.keys.form.NewKey``.
            KeyExceedsMaker: It could do more than the key that makes it.
        """
        new, secret, name = read_key(written), self.new_secret(), self.new_id()
        if not isinstance(written, Mapping):
            raise InvalidRequest("The body is no JSON object.")
        unknown = set(new.tiers or ()) - set(self.tiers())
        if unknown:
            raise InvalidRequest(f"There is no tier called {min(unknown)!r}.", param="tiers")
        key = made(new, written, name=name, digest=self.kept(secret), by=asker.by, unix=self.clock.unix())

        def decide(all_: Kept) -> _Change:
            if key.name in self.taken() or any(each.name == key.name for each in all_.keys.values()):
                raise InvalidRequest(f"There is or was a key called {key.name!r}.", param="name")
            if len(all_.keys) >= KEYS_MAX:
                raise InvalidRequest(f"The store keeps {KEYS_MAX} keys already.")
            maker = all_.keys.get(asker.by)
            if maker is not None:
                if not maker.works(key.created_unix):
                    raise KeyExceedsMaker("The key that asks is not taken any more.")
                check_no_more(key, maker)
            return _Change(what="key.created", keys=(key,), about=key.id, after=key.shown())

        await self._make(decide, asker)
        return key, secret

    async def list(self, asker: Asker) -> list[VirtualKey]:
        """The keys that the asker made, and those that these made; the admin's are all. The oldest first."""
        all_ = await self._all()
        return sorted(
            (key for key in all_.keys.values() if _sees(asker, key, all_)), key=lambda key: (key.created_unix, key.id)
        )

    async def show(self, name: str, asker: Asker) -> VirtualKey:
        """One of them, by its id. Raises ``KeyNotFound``."""
        return _found(await self._all(), name, asker)

    async def rotate(self, name: str, asker: Asker, *, grace_seconds: float) -> tuple[VirtualKey, str]:
        """Give it another secret, and take the old one for so long still.

        Raises:
            KeyNotFound: There is no such key.
            InvalidRequest: It is revoked.
        """
        secret, now = self.new_secret(), self.clock.unix()
        digest = self.kept(secret)
        rotated: list[VirtualKey] = []

        def decide(all_: Kept) -> _Change:
            key = _found(all_, name, asker)
            if key.revoked_unix is not None:
                raise InvalidRequest("The key is revoked.")
            new = msgspec.structs.replace(
                key, digest=digest, previous=key.digest, previous_until_unix=now + grace_seconds, rotated_unix=now
            )
            rotated[:] = [new]
            return _Change(what="key.rotated", keys=(new,), about=name, before=key.shown(), after=new.shown())

        await self._make(decide, asker)
        return rotated[0], secret

    async def revoke(self, name: str, asker: Asker) -> VirtualKey:
        """Take it no more, nor any key that it made. Raises ``KeyNotFound``."""
        now = self.clock.unix()
        revoked: list[VirtualKey] = []

        def decide(all_: Kept) -> _Change:
            key = _found(all_, name, asker)
            below = [each for each in all_.keys.values() if key in ancestors(each, all_.keys)]
            revoked[:] = [
                msgspec.structs.replace(each, revoked_unix=now) if each.revoked_unix is None else each
                for each in (key, *below)
            ]
            after = revoked[0].shown() | {"made_and_revoked_too": sorted(each.id for each in below)}
            return _Change(what="key.revoked", keys=tuple(revoked), about=name, before=key.shown(), after=after)

        await self._make(decide, asker)
        return revoked[0]

    async def note(self, what: str, asker: Asker, after: dict[str, Any]) -> None:
        """Note a change of something else."""
        await self._make(lambda _: _Change(what=what, after=after), asker)

    async def audit(self, most: int) -> dict[str, Any]:
        """The latest entries of the audit log, oldest first, and where some are missing."""
        entries, missing = await self.cabinet.entries(most)
        return {"object": "list", "data": msgspec.to_builtins(entries), "missing_before": missing}

    async def _all(self) -> Kept:
        found = await self.cabinet.read()
        if found is None:
            raise StoreUnavailable("The store that keeps keys gave an answer that is none.")
        return found

    async def _make(self, decide: Callable[[Kept], _Change], asker: Asker) -> None:
        """Decide on what is kept now, and again where that changed meanwhile."""
        for _ in range(_TRIES):
            all_ = await self._all()
            change = decide(all_)
            entry = Entry(
                number=all_.number + 1,
                unix=self.clock.unix(),
                by=asker.by,
                source=asker.source,
                what=change.what,
                key=change.about,
                before=change.before,
                after=change.after,
                previous=all_.head,
            )
            if await self.cabinet.commit(entry, change.keys):
                self.report(
                    "audit", number=entry.number, by=entry.by, source=entry.source, what=entry.what, key=entry.key
                )
                await self.changed()
                return
        raise StoreUnavailable("Too many changes are made at once.", retry_after_seconds=1.0)


def _sees(asker: Asker, key: VirtualKey, all_: Kept) -> bool:
    return asker.by == ADMIN or any(each.id == asker.by for each in ancestors(key, all_.keys))


def _found(all_: Kept, name: str, asker: Asker) -> VirtualKey:
    key = all_.keys.get(name)
    if key is None or not _sees(asker, key, all_):
        raise KeyNotFound(f"There is no key with the id {name!r}.")
    return key
