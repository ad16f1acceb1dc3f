"""Whose key it is."""

import hashlib

import pytest

from gateway.authenticate import Authenticator, check_agent, check_time, digest
from gateway.errors import AgentNotAllowed, KeyExpired, Unauthorized
from gateway.exchange import Caller
from gateway.wire.request_head import RequestHead
from tests.gateway.samples import CHAT

KEY = b"sk-secret"
CALLER = Caller(name="demo", tiers=frozenset({"routing"}))


@pytest.fixture
def authenticate() -> Authenticator:
    return Authenticator({digest(KEY): CALLER})


def test_only_a_digest_of_a_key_is_kept() -> None:
    """Its SHA-256 in hex, as the tier map's ``hash`` writes it."""
    assert digest(KEY) == hashlib.sha256(KEY).hexdigest()


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (b"Bearer sk-secret", None),
        (b"bearer sk-secret", None),
        (b"BEARER  sk-secret ", None),
        (None, b"sk-secret"),
        (None, b" sk-secret "),
        (b"Bearer sk-secret", b"wrong"),
        (b"Basic abc", b"sk-secret"),
    ],
)
async def test_a_key_is_known_as_bearer_or_as_anthropics_clients_send_it(
    authenticate: Authenticator, authorization: bytes | None, api_key: bytes | None
) -> None:
    """A bearer token goes first; the scheme's case and spaces do not matter (RFC 9110 §11.1)."""
    assert await authenticate(authorization, api_key) is CALLER


@pytest.mark.parametrize(
    ("authorization", "api_key", "text"),
    [
        (None, None, "No key was sent"),
        (b"Basic abc", None, "No key was sent"),
        (b"sk-secret", None, "No key was sent"),
        (b"", None, "No key was sent"),
        (b"Bearer wrong", b"sk-secret", "not known"),
        (b"Bearer ", None, "not known"),
        (b"Bearer SK-SECRET", None, "not known"),
        (None, b"", "not known"),
        (None, digest(KEY).encode(), "not known"),
    ],
)
async def test_anybody_else_is_refused(
    authenticate: Authenticator, authorization: bytes | None, api_key: bytes | None, text: str
) -> None:
    """Without a word about the keys that there are; the digest itself is no key."""
    with pytest.raises(Unauthorized, match=text) as caught:
        await authenticate(authorization, api_key)
    assert "wrong" not in caught.value.message


async def test_nobody_is_let_in_where_there_are_no_keys() -> None:
    """A tier map without keys is no open door."""
    with pytest.raises(Unauthorized):
        await Authenticator({})(b"Bearer x")


def test_no_key_shows_in_a_repr(authenticate: Authenticator) -> None:
    """Nor its digest."""
    shown = repr(authenticate) + repr(CALLER)
    assert "sk-secret" not in shown
    assert digest(KEY) not in shown


async def test_a_head_keeps_the_digest_and_not_whose_it_is() -> None:
    """So a key that is taken away is refused on a connection that has used it."""
    head = RequestHead(CHAT, [(b"authorization", b"Bearer " + KEY)])
    assert Authenticator({digest(KEY): CALLER}).at_once(head) is CALLER
    assert head.key_digest.hex() == digest(KEY)
    after = Authenticator({})
    with pytest.raises(Unauthorized):
        await after.of(head)
    with pytest.raises(Unauthorized, match="No key was sent"):
        await after.of(RequestHead(CHAT, []))


class FakeRing:
    """Virtual keys: ``near`` are known to the process, ``far`` only to the store."""

    def __init__(self, near: dict[bytes, Caller], far: dict[bytes, Caller]) -> None:
        self.near, self.far = near, far
        self.asked = 0

    def find(self, digest: bytes) -> Caller | None:
        """As ``KeyRing``."""
        return self.near.get(digest)

    async def look_up(self, digest: bytes) -> Caller | None:
        """As ``KeyRing``."""
        self.asked += 1
        return self.far.get(digest)


VIRTUAL = b"tg-" + b"v" * 43


async def test_the_store_is_asked_for_a_virtual_key_that_this_process_does_not_know() -> None:
    """And for no other."""
    sent = hashlib.sha256(VIRTUAL).digest()
    other = Caller(name="other")
    far = FakeRing({}, {sent: other})
    authenticate = Authenticator({digest(KEY): CALLER}, far)
    head = RequestHead(CHAT, [(b"authorization", b"Bearer " + VIRTUAL)])
    assert authenticate.at_once(head) is None
    assert await authenticate.of(head) is other
    assert await authenticate(None, VIRTUAL) is other
    assert far.asked == 2
    with pytest.raises(Unauthorized):
        await authenticate(b"Bearer no-virtual-key")
    near = FakeRing({sent: CALLER}, {})
    assert await Authenticator({}, near).of(head) is CALLER
    assert (far.asked, near.asked) == (2, 0)


@pytest.mark.parametrize("known", [True, False], ids=["known here", "asked for"])
async def test_a_virtual_key_gives_way_to_a_key_of_the_tier_map_with_its_name(*, known: bool) -> None:
    """They would share budgets and see each other's records; also where the map's came later."""
    sent = hashlib.sha256(VIRTUAL).digest()
    mine = {sent: Caller(name=CALLER.name, tiers=frozenset({"routing"}))}
    ring = FakeRing(mine, {}) if known else FakeRing({}, mine)
    with pytest.raises(Unauthorized, match=f"has a key called '{CALLER.name}' now"):
        await Authenticator({digest(KEY): CALLER}, ring)(None, VIRTUAL)
    assert (await Authenticator({}, ring)(None, VIRTUAL)).name == CALLER.name


def test_a_key_is_taken_until_it_expires() -> None:
    caller = Caller(name="demo", expires_unix=100.0)
    check_time(caller, 99.9)
    check_time(CALLER, 1e12)
    with pytest.raises(KeyExpired, match="'demo' has expired"):
        check_time(caller, 100.0)


@pytest.mark.parametrize(("agent", "allowed"), [("writer-1", True), ("reader", True), ("Writer-1", False), ("", False)])
def test_a_key_is_for_the_agents_that_its_globs_match(agent: str, *, allowed: bool) -> None:
    """Not for requests that name none."""
    caller = Caller(name="demo", agents=("writer-*", "reader"))
    check_agent(CALLER, agent)
    if allowed:
        check_agent(caller, agent)
    else:
        with pytest.raises(AgentNotAllowed):
            check_agent(caller, agent)
