"""A request's head as the steps read it."""

from collections.abc import Sequence

from gateway.wire.header_lines import HeaderLines
from gateway.wire.headers import Header, to_upstream
from gateway.wire.identity import Identity, identity_of
from gateway.wire.operations import Operation


class RequestHead:
    """What is read of a head, each thing worked out once, when it is first asked for.

    Clients repeat themselves: on a connection that is kept alive one object stands for every request whose head is the
    same but for its body's length. So nothing here belongs to one request alone.

    Attributes:
        operation: What is asked for.
        authorization, api_key, content_length: The values of these headers, ``None`` where they were not sent.
        key_digest: Kept here by ``authenticate``; empty until then.
    """

    __slots__ = (
        "_headers",
        "_identity",
        "_named",
        "_passed",
        "api_key",
        "authorization",
        "content_length",
        "key_digest",
        "operation",
    )

    def __init__(
        self, operation: Operation, headers: Sequence[Header], named: dict[bytes, bytes] | None = None
    ) -> None:
        """``headers`` have lower-case names; of two with one name the last counts. ``named`` are the same by their
        names, where that is made already.
        """
        self.operation = operation
        self._headers = headers
        if named is None:
            named = dict(headers)
        self._named = named
        self.authorization: bytes | None = named.get(b"authorization")
        self.api_key: bytes | None = named.get(b"x-api-key")
        self.content_length: bytes | None = named.get(b"content-length")
        self.key_digest = b""
        self._identity: Identity | None = None
        self._passed: HeaderLines | None = None

    @property
    def headers(self) -> Sequence[Header]:
        """All of them, in their order."""
        return self._headers

    @property
    def identity(self) -> Identity:
        """Who calls. Raises ``InvalidRequest``, see ``identity_of``."""
        if self._identity is None:
            self._identity = identity_of(self._named)
        return self._identity

    @property
    def passed(self) -> HeaderLines:
        """The headers that an endpoint may see."""
        if self._passed is None:
            self._passed = HeaderLines(to_upstream(self._headers))
        return self._passed
