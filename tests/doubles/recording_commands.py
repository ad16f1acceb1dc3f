"""A store's commands that answer what a test says."""

from collections import deque

from gateway.store.resp import Reply


class RecordingCommands:
    """Answers each command with the next of ``replies``, which raises where it is an exception; keeps ``sent``."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = deque(replies)
        self.sent: list[tuple[bytes | str | int, ...]] = []

    async def execute(self, *parts: bytes | str | int) -> Reply:
        """As ``gateway.store.script.Commands``."""
        self.sent.append(parts)
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply
