"""What this process knows of an endpoint's condition: its circuit breaker, and how long it asked to be left alone.

What a failure is: the endpoint could not be reached, broke off, stayed silent too long, answered with a 5xx, or with
something that is no answer. What is none: a refusal of the request or of the gateway's key, and the client's leaving. A
429 is no failure either: the endpoint is well but full, and is left alone until the time that it names.
"""

from typing import Final, Protocol

from gateway.errors import GatewayError, UpstreamAnswered, UpstreamFailed, UpstreamRefused
from gateway.exchange import Clock
from tiers.breaker import Circuit, State, failed, open_seconds, succeeded, tried, tripped
from tiers.tiermap import Breaker

REST_SECONDS_MAX: Final = 3600.0
"""How long an endpoint is left alone because it said so, at most."""
PROBE_WAIT_SECONDS: Final = 10.0
"""How long the result of a probe is waited for before another may begin: longer than a probe takes."""
TRIAL_SECONDS: Final = 1.0
"""How long a trial is likely to take."""
_NO_WORKER: Final = 503


class Report(Protocol):
    """Tells of an event, as ``Log.event`` does."""

    def __call__(self, event: str, /, **keys: object) -> None:
        """``event`` is a dotted name."""


def untold(event: str, /, **keys: object) -> None:
    """A ``Report`` to nobody."""


class Health:
    """One endpoint's condition; made with it, and kept where a new tier map still has the endpoint.

    Attributes:
        tier, endpoint: Their names.
        settings: Of the circuit breaker; may be replaced.
        circuit: Where the breaker stands.
        well: It may be asked without a further look. All that a request on the good path has to know.
        marked: A success would tell something new.
        probed: The gateway itself asks whether it is well again. Otherwise one request is the trial.
        openings: How often it was left alone, by reason.
        probes: How often it was asked, by result.
        since: From when on both are counted, in Unix seconds.
    """

    __slots__ = (
        "_clock", "_left_alone_at", "_report", "_rests_until", "circuit", "endpoint", "marked", "openings", "probed",
        "probes", "settings", "since", "tier", "well",
    )  # fmt: skip

    def __init__(
        self,
        *,
        tier: str,
        endpoint: str,
        settings: Breaker,
        clock: Clock,
        report: Report = untold,
        probed: bool = False,
    ) -> None:
        self.tier = tier
        self.endpoint = endpoint
        self.settings = settings
        self.circuit = Circuit()
        self.well = True
        self.marked = False
        self.probed = probed
        self.openings = {"failures": 0, "failure_ratio": 0, "slow": 0}
        self.probes = {"good": 0, "bad": 0}
        self.since = clock.unix()
        self._clock = clock
        self._report = report
        self._rests_until = 0.0
        self._left_alone_at = 0.0

    @property
    def state(self) -> str:
        """The breaker's: ``closed``, ``open`` or ``half-open``."""
        return self.circuit.state.value

    def hear(self, error: GatewayError | None) -> None:
        """How a request ended there; ``None`` is well."""
        state = self.circuit.state
        if state is State.CLOSED or not self.probed:  # else a probe decides, and this is late news
            now = self._clock.monotonic()
            if error is None or (state is State.HALF_OPEN and _answered(error)):
                self._become(succeeded(self.circuit, self.settings, now))
            elif is_failure(error):
                self._become(failed(self.circuit, self.settings, now), "failures", error.code, error.message)
        if error is not None:
            self._rest(error)

    def eject(self, reason: str) -> None:
        """Leave it alone for a while, since it does so much worse than its siblings."""
        self._become(tripped(self.circuit, self.settings, self._clock.monotonic()), reason)

    def rested(self) -> bool:
        """Whether it may be asked now, after a look at the time."""
        if not self.well:
            self._mark()
        return self.well

    def begin_trial(self) -> bool:
        """Let the request that asks be the trial, if one may be made now."""
        if self.probed or self._clock.monotonic() < self._rests_until:
            return False
        return self._begin(open_seconds(self.circuit.openings, self.settings))

    def begin_probe(self) -> bool:
        """Let a probe be the trial, if one may be made now. Its result is told to ``probe_ended``."""
        return self.probed and self._begin(PROBE_WAIT_SECONDS)

    def probe_ended(self, *, good: bool) -> None:
        """The endpoint is well again, or not."""
        self.probes["good" if good else "bad"] += 1
        now = self._clock.monotonic()
        self._become((succeeded if good else failed)(self.circuit, self.settings, now))

    def wait_seconds(self) -> float:
        """In how long it may be asked, as far as is known now; 0 where it may be."""
        if self.rested():
            return 0.0
        now, circuit = self._clock.monotonic(), self.circuit
        rest = self._rests_until - now
        if circuit.state is State.CLOSED:
            return rest
        return max(rest, TRIAL_SECONDS, circuit.until - now if circuit.state is State.OPEN else 0.0)

    def _begin(self, wait: float) -> bool:
        circuit = tried(self.circuit, self._clock.monotonic(), wait=wait)
        if circuit is None:
            return False
        self._become(circuit)
        return True

    def _become(self, circuit: Circuit, reason: str = "", code: str = "", message: str = "") -> None:
        before, self.circuit = self.circuit, circuit
        self._mark()
        now, where = self._clock.monotonic(), {"tier": self.tier, "endpoint": self.endpoint}
        if before.state is State.CLOSED and circuit.state is State.OPEN:
            self._left_alone_at = now
            self.openings[reason] += 1
            seconds = circuit.until - now
            if code:
                self._report("endpoint.opened", **where, reason=reason, seconds=seconds, error=code, message=message)
            else:
                self._report("endpoint.ejected", **where, reason=reason, seconds=seconds)
        elif before.state is State.HALF_OPEN and circuit.state is State.CLOSED:
            self._report("endpoint.closed", **where, seconds=round(now - self._left_alone_at, 3))

    def _mark(self) -> None:
        self.marked = not self.circuit.spotless
        self.well = self.circuit.state is State.CLOSED and self._clock.monotonic() >= self._rests_until

    def _rest(self, error: GatewayError) -> None:
        """Leave it alone as long as it asked for."""
        if not isinstance(error, UpstreamAnswered) or not error.retry_after_seconds:
            return
        if error.limited or error.status == _NO_WORKER:
            seconds = min(error.retry_after_seconds, REST_SECONDS_MAX)
            self._rests_until = max(self._rests_until, self._clock.monotonic() + seconds)
            self._mark()


def is_failure(error: GatewayError) -> bool:
    """Whether the error says that the endpoint is not well."""
    return isinstance(error, UpstreamFailed) and not _answered(error)


def _answered(error: GatewayError) -> bool:
    """Whether the endpoint is well although it did not serve the request: it refused it, or it is full."""
    return isinstance(error, UpstreamRefused) or (isinstance(error, UpstreamAnswered) and error.limited)
