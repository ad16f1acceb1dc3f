"""An engine's answer to one HTTP request."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field


class EngineFailed(Exception):
    """The engine could not start, or ended by itself; its words are the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request to an engine; ``path`` begins with a slash and may have a query."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Its answer; ``pieces`` are the body as it comes, and have to be read or closed."""

    status: int
    content_type: str
    pieces: AsyncGenerator[bytes, None] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()


async def whole(body: bytes) -> AsyncGenerator[bytes, None]:
    """A body in one piece."""
    yield body
