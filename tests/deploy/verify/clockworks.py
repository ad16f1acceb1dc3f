"""Time that only sleeping lets pass, and what was said."""

from deploy.verify.waiting import Clockwork


class Clockworks:
    """A clockwork for tests."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.clockwork = Clockwork(clock=lambda: self.now, sleep=self._sleep, say=self.said.append)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
