"""TLS to an endpoint."""

import ssl
from pathlib import Path


class ResumingContext(ssl.SSLContext):
    """A client context for one endpoint that resumes the latest session: no certificates are sent again.

    Attributes:
        session: What the next connection offers; an endpoint that does not want it makes a full handshake.
    """

    session: ssl.SSLSession | None = None

    def remember(self, tls: ssl.SSLObject | None) -> None:
        """Take over a connection's session, once it has received something: TLS 1.3 sends it late."""
        if tls is not None and tls.session is not None and tls.session.has_ticket:
            self.session = tls.session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 (the signature is the standard library's)
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As ``SSLContext.wrap_bio``, with the latest session; event loops call this once per connection."""
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self.session)


def client_context(*, authorities: Path | None = None) -> ResumingContext:
    """What ``ssl.create_default_context`` makes, for HTTP/1.1 and with sessions resumed.

    Args:
        authorities: A PEM file of certificate authorities to trust instead of the system's.

    Raises:
        OSError: The file cannot be read, or holds no certificate (``ssl.SSLError``).
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificates and host names
    if authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context
