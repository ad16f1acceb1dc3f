"""What a key looks like, and what is kept of it."""

import hashlib

import pytest

from gateway.keys.secret import kept, looks_like_one, new_secret


def test_a_new_key_is_told_by_its_form_and_is_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(looks_like_one(each.encode()) and len(each) == 46 for each in made)


@pytest.mark.parametrize("sent", [b"", b"tg-", b"sk-" + b"a" * 43, b"tg-" + b"a" * 44, b"tg-" + b"a" * 42 + b"!"])
def test_anything_else_is_none(sent: bytes) -> None:
    assert not looks_like_one(sent)


def test_what_is_kept_says_nothing_without_the_pepper() -> None:
    digest = hashlib.sha256(b"tg-key").digest()
    assert kept(b"pepper", digest) == kept(b"pepper", digest) != kept(b"other", digest)
    assert kept(b"pepper", digest) != digest.hex()
