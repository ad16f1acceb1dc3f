"""What of a request belongs together with others, so that they go to the same endpoint of a tier."""

from typing import Final

from gateway.wire.identity import Identity

PREFIX_BYTES: Final = 1024
"""How much of a prompt's beginning counts."""
_PROMPTS = (b'"messages"', b'"prompt"', b'"input"')


def session(identity: Identity, key: str) -> bytes | None:
    """The run, or the agent where no run is named, of the caller with this key; ``None`` where neither is."""
    name = identity.run or identity.agent
    return f"{key}\0{name}".encode() if name else None


def prefix(body: bytes) -> bytes:
    """The beginning of the prompt, or of the body where no prompt is found."""
    start = max(0, next((at for at in map(body.find, _PROMPTS) if at >= 0), 0))
    return body[start : start + PREFIX_BYTES]
