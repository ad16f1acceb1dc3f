"""How long a worker is waited for, and what is said meanwhile."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deploy.fleet.answers import DeployedEndpoint
from deploy.fleet.control_plane import ControlPlane
from deploy.verify.diagnosis import Diagnosis, counted, is_hopeless, why_no_worker
from deploy.verify.evidence import last_words
from deploy.verify.finding import CheckFailed

SAY_SECONDS = 15.0
"""What has not changed is said again after so long."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds.

    Attributes:
        worker: For a worker to come and take a request.
        hopeless: Of that, while it can be seen that none will: it crashes, no GPU is free, none may be started.
        answer: For a whole answer of a worker that is there.
        look: Between two looks.
    """

    worker: float = 900.0
    hopeless: float = 90.0
    answer: float = 120.0
    look: float = 2.0

    @classmethod
    def of(cls, worker: float) -> "Patience":
        """As usual, with so long for a worker: a tenth of it without hope, and a hundred looks at least."""
        return cls(worker=worker, hopeless=min(worker / 10, cls.hopeless), look=min(worker / 100, cls.look))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clockwork:
    """Where time comes from, and who hears what is waited for."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    say: Callable[[str], None]


class Watch:
    """The wait for one endpoint's worker, look by look."""

    def __init__(
        self, plane: ControlPlane, endpoint: DeployedEndpoint, key: str, patience: Patience, clockwork: Clockwork
    ) -> None:
        self._plane = plane
        self._endpoint = endpoint
        self._key = key
        self._patience = patience
        self._clockwork = clockwork
        self._began = clockwork.clock()
        self._hopeless: tuple[Diagnosis, float] | None = None
        self._said = ("", 0.0)

    async def look(self) -> None:
        """See how workers are, say it, and wait until the next look.

        Raises:
            CheckFailed: None comes, or none will.
        """
        health = await self._plane.health(self._endpoint)
        now = self._clockwork.clock()
        diagnosis = why_no_worker(health, workers_max=self._endpoint.workers_max)
        if not is_hopeless(diagnosis):
            self._hopeless = None
        elif self._hopeless is None or self._hopeless[0] != diagnosis:
            self._hopeless = (diagnosis, now)
        gave_up = self._hopeless is not None and now - self._hopeless[1] >= self._patience.hopeless
        if gave_up or now - self._began >= self._patience.worker:
            seen = [f"{counted(health)}, after {now - self._began:.0f} s"]
            seen += await last_words(self._plane, self._endpoint.id)
            raise CheckFailed(diagnosis.cause, evidence=seen, remedy=diagnosis.remedy)
        self._tell(counted(health), now)
        await self._clockwork.sleep(self._patience.look)

    def _tell(self, text: str, now: float) -> None:
        before, moment = self._said
        if text != before or now - moment >= SAY_SECONDS:
            self._clockwork.say(f"{self._key}: waiting for a worker, {now - self._began:.0f} s: {text}")
            self._said = (text, now)
