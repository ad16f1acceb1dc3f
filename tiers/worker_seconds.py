"""What the workers of an endpoint do that Runpod bills, as far as can be seen from outside.

Runpod bills a worker from its container's start to its stop, while it loads, works, and waits for its idle timeout, and
rounds that up to the second. How many there are at a moment ``balancer_workers`` and ``queue_workers`` say. When they
came and went is between two looks at their health: in the middle, where nothing is known better, so that half as much
is taken too early as too late, and many starts and stops come out even. What is known better: a first worker has not
started before somebody asked for it, and did so at once where it is there at the first look after that without a pull;
and one goes when its idle timeout is over.
"""

from dataclasses import dataclass

from tiers.balancer_workers import BalancerWorkers
from tiers.queue_workers import QueueWorkers
from tiers.worker_moment import Asked, Counted, Moment

ROUNDED_SECONDS = 0.5
"""What rounding up to the second adds to a worker's run, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """Billed workers from now on, and what is to be made up for since they changed.

    Attributes:
        awake: Those that can work, whether they do or not.
        starting: Those that load.
        awake_before: Seconds of workers that were awake before now and not counted; below zero where they were counted
            and had gone.
        starting_before: The same of those that load.
    """

    awake: int = 0
    starting: int = 0
    awake_before: float = 0.0
    starting_before: float = 0.0


class WorkerSight:
    """What is seen of one endpoint's billed workers."""

    __slots__ = ("_before", "_counted", "_workers")

    def __init__(self, *, balanced: bool, idle_timeout: float, load: float) -> None:
        """``balanced``: behind a load balancer in place of a queue; ``idle_timeout`` as configured there. A worker is
        expected to ``load`` for so long.
        """
        self._workers: BalancerWorkers | QueueWorkers = (
            BalancerWorkers(idle_timeout=idle_timeout)
            if balanced
            else QueueWorkers(idle_timeout=idle_timeout, load=load)
        )
        self._before: Moment | None = None
        self._counted = Counted()

    def see(self, moment: Moment) -> Working:
        """What follows from a moment; each is later than the one before."""
        before, counted = self._before, self._counted
        self._counted = now = self._workers.count(moment, counted)
        self._before = moment
        if before is None:
            return Working(awake=now.awake, starting=now.starting)  # they may have been there for long, or just come
        passed = moment.now - self._changed_at(moment, before, counted)
        ended = max(0, counted.billed - now.billed) or self._replaced(moment, before, counted)
        return Working(
            awake=now.awake,
            starting=now.starting,
            awake_before=(now.awake - counted.awake) * passed + ended * ROUNDED_SECONDS,
            starting_before=(now.starting - counted.starting) * passed,
        )

    def _changed_at(self, moment: Moment, before: Moment, counted: Counted) -> float:
        """When workers came to be what they are now."""
        now = self._counted
        if now.billed <= counted.billed:
            return moment.now if now == counted else self._workers.fell_at(moment, before)
        looked = moment.sampled_at > before.sampled_at
        if moment.asked is not None and not counted.billed and moment.asked.likely >= before.sampled_at:
            return self._began_at(moment, before, moment.asked)
        return (before.sampled_at + moment.sampled_at) / 2 if looked else moment.now

    def _began_at(self, moment: Moment, before: Moment, asked: Asked) -> float:
        """When the first worker began that somebody asked for since the look before."""
        if asked.earliest > moment.sampled_at:
            # The look knew nothing of it: a queue's worker is believed to be there, a balancer's was there before.
            if isinstance(self._workers, QueueWorkers):
                return asked.likely
            return (before.sampled_at + moment.sampled_at) / 2
        likely = min(asked.likely, moment.sampled_at)
        return (likely + moment.sampled_at) / 2 if before.sample.initializing else likely

    def _replaced(self, moment: Moment, before: Moment, counted: Counted) -> int:
        """Workers of a load balancer that were ready, and load again: others in their place."""
        if isinstance(self._workers, QueueWorkers) or moment.sample.running < counted.billed:
            return 0
        return max(0, min(before.sample.ready, counted.billed) - moment.sample.ready)
