"""The way from a connection to the pipeline that serves now: one attribute, so that it can be another in a moment.

A request takes the pipeline at its start and keeps it to its end, so what is put here is for those that come later.
"""

from collections.abc import Coroutine
from typing import Any, Final

from gateway.downstream import Client
from gateway.pipeline import Pipeline
from gateway.wire.headers import Header
from gateway.wire.request_head import RequestHead

CLOSE: Final[Header] = (b"connection", b"close")


class Serving:
    """Serves each request with the pipeline of the moment.

    Attributes:
        pipeline: The one that serves from now on.
        leaving: Whether this process is about to stop; each answer then asks its client to come back on another
            connection.
    """

    __slots__ = ("leaving", "pipeline")

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.leaving = False

    def serve(self, head: RequestHead, client: Client) -> Coroutine[Any, Any, None]:
        """Serve one request from its first byte to its record; see ``Pipeline.serve``."""
        if self.leaving:
            client.headers.append(CLOSE)
        return self.pipeline.serve(head, client)
