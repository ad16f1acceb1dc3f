"""How awake an endpoint is, as a test says."""

from gateway.upstream.warmth import Outlook, Warmth
from tests.doubles.clock import ManualClock
from tiers.tiermap import Workers


def hope(*, seconds: float = 30.0, hopeless: bool = False, uncertain: bool = False, reason: str = "") -> Outlook:
    """An outlook; unless told otherwise, a worker comes in half a minute."""
    return Outlook(seconds=seconds, hopeless=hopeless, uncertain=uncertain, reason=reason)


class ManualWarmth(Warmth):
    """An endpoint that sleeps until ``wake``.

    Attributes:
        room: How many requests at once its awake workers can take.
        hope: What may be hoped for while it sleeps.
    """

    def __init__(self, *, workers_max: int = 3, worker_slots: int = 10) -> None:
        workers = Workers(max=workers_max, slots=worker_slots)
        super().__init__(base="https://api.runpod.test/v2/e1", workers=workers, clock=ManualClock())
        self.room = 0
        self.hope = hope()

    def wake(self, room: int) -> None:
        """Its workers can take so many requests from now on; 0 is asleep."""
        self.room = room
        self.ready = room > 0
        for listener in list(self._listeners):
            listener()

    def capacity(self) -> int:
        """See ``Warmth``."""
        return self.room

    def needed(self, waiting: int) -> int:
        """See ``Warmth``."""
        return min(self.workers.max, -(-waiting // self.workers.slots))

    def outlook(self) -> Outlook:
        """See ``Warmth``."""
        return self.hope

    def retry_after(self) -> float:
        """See ``Warmth``."""
        return 45.0
