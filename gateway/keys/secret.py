"""What a virtual key looks like, and what is kept of it."""

import hmac
import re
import secrets
from typing import Final

PREFIX: Final = "tg-"
RANDOM_BYTES: Final = 32
"""256 bits, 43 characters: nobody guesses one, so keys need no stretching."""
_FORM: Final = re.compile(rb"tg-[A-Za-z0-9_-]{43}")


def new_secret() -> str:
    """A new key; it is shown once and kept nowhere."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def looks_like_one(sent: bytes) -> bool:
    """Whether it may be a virtual key at all; nobody asks the store about any other."""
    return _FORM.fullmatch(sent) is not None


def kept(pepper: bytes, digest: bytes) -> str:
    """What is kept of a key whose SHA-256 is ``digest``: its HMAC-SHA-256 under the gateway's pepper, in hex.

    Whoever reads the store alone cannot even try whether a key is the one that is kept there.
    """
    return hmac.digest(pepper, digest, "sha256").hex()
