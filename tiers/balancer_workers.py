"""Which workers of a load balancer are billed: its health tells, since whose container is up is running, and who has
loaded is ready.
"""

from tiers.worker_moment import Counted, Moment


class BalancerWorkers:
    """Counts them from one moment to the next. All times are seconds of Runpod's clock."""

    __slots__ = ("_idle_timeout", "_in_flight_at")

    def __init__(self, *, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._in_flight_at = float("-inf")

    def count(self, moment: Moment, _counted: Counted) -> Counted:
        """The billed workers now. Health comes late: where one is known to work, it is not said to load."""
        if moment.in_flight:
            self._in_flight_at = moment.now
        sample = moment.sample
        awake = min(sample.running, max(sample.ready, 1)) if moment.warm else 0
        return Counted(awake=awake, starting=sample.running - awake)

    def fell_at(self, moment: Moment, before: Moment) -> float:
        """When those went that are not there any more: when the idle timeout of the last request was over, where that
        was between two looks; else in the middle between them.
        """
        over_at = self._in_flight_at + (moment.now - before.now) / 2 + self._idle_timeout
        if before.sampled_at < over_at < moment.sampled_at:
            return over_at
        return (before.sampled_at + moment.sampled_at) / 2 if moment.sampled_at > before.sampled_at else moment.now
