"""A store's commands that answer what a test says."""

from collections import deque
from typing import cast

from gateway.store.resp import Reply, reader


class RecordingCommands:
    """Answers each command with the next of ``replies``, which raises where it is an exception; keeps ``sent``."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = deque(replies)
        self.sent: list[list[bytes]] = []

    async def send(self, packed: bytes) -> Reply:
        """As ``gateway.store.script.Commands``."""
        parser = reader()
        parser.feed(packed)
        self.sent.append(cast("list[bytes]", parser.gets()))
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply
