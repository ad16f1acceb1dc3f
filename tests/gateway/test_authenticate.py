"""Whose key it is."""

import hashlib

import pytest

from gateway.authenticate import Authenticator, digest
from gateway.errors import Unauthorized
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
def test_a_key_is_known_as_bearer_or_as_anthropics_clients_send_it(
    authenticate: Authenticator, authorization: bytes | None, api_key: bytes | None
) -> None:
    """A bearer token goes first; the scheme's case and spaces do not matter (RFC 9110 §11.1)."""
    assert authenticate(authorization, api_key) is CALLER


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
def test_anybody_else_is_refused(
    authenticate: Authenticator, authorization: bytes | None, api_key: bytes | None, text: str
) -> None:
    """Without a word about the keys that there are; the digest itself is no key."""
    with pytest.raises(Unauthorized, match=text) as caught:
        authenticate(authorization, api_key)
    assert "wrong" not in caught.value.message


def test_nobody_is_let_in_where_there_are_no_keys() -> None:
    """A tier map without keys is no open door."""
    with pytest.raises(Unauthorized):
        Authenticator({})(b"Bearer x")


def test_no_key_shows_in_a_repr(authenticate: Authenticator) -> None:
    """Nor its digest."""
    shown = repr(authenticate) + repr(CALLER)
    assert "sk-secret" not in shown
    assert digest(KEY) not in shown


def test_a_head_keeps_the_digest_and_not_whose_it_is() -> None:
    """So a key that is taken away is refused on a connection that has used it."""
    head = RequestHead(CHAT, [(b"authorization", b"Bearer " + KEY)])
    assert Authenticator({digest(KEY): CALLER}).of(head) is CALLER
    assert head.key_digest.hex() == digest(KEY)
    after = Authenticator({})
    with pytest.raises(Unauthorized):
        after.of(head)
    with pytest.raises(Unauthorized, match="No key was sent"):
        after.of(RequestHead(CHAT, []))
