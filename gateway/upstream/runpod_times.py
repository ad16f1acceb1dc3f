"""How long things take at Runpod, and how often it may be asked; all in seconds."""

from dataclasses import dataclass, fields, replace
from typing import Final, Self

LOOKS_APART_SECONDS: Final = 0.1
"""Of this machine's clock: the least between two looks at workers that are only billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunpodTimes:
    """What Tiergate goes by. The limits are Runpod's; what is below them is Tiergate's choice."""

    edge: float = 100.0
    """After so long without a byte the edge answers 524 for a queue endpoint, and the job goes on."""
    edge_margin: float = 15.0
    """How much shorter a wait on the OpenAI route must be expected to be."""
    job_poll: float = 0.25
    """The first wait before a job is asked after; doubles while it is queued …"""
    job_poll_max: float = 2.0
    """… up to this. ``/status`` and ``/stream`` take 2,000 calls in 10 s."""
    job_lost: float = 60.0
    """After so long without any word of a job it is given up."""
    cancel: float = 5.0
    """How long a job's cancellation may take, and how long after a failure it is tried again."""
    second: float = 1.0
    """A second of Runpod's clock."""
    stream_poll: float = 0.1
    """The wait between two looks at a stream that has begun."""
    ttl_margin: float = 10.0
    """How much longer than its deadline a job may exist at Runpod; there, 10 s is the least."""
    balancer_wait: float = 5.0
    """The wait before a cold load balancer is asked again; Runpod's documentation advises 5 to 10 s."""
    balancer_edge: float = 330.0
    """After so long a load balancer answers 524, whatever is under way."""
    health_awaited: float = 1.0
    """How often health is asked for while calls wait for a worker, or jobs are under way …"""
    health_billed: float = 2.0
    """… while some worker is billed, as far as health tells: when it starts and stops is what GPU seconds go by …"""
    health_used: float = 10.0
    """… while there is traffic …"""
    health_unused: float = 60.0
    """… and while there is none."""
    wake_expected: float = 60.0
    """How long a worker is expected to take to wake, while none has been seen to."""
    stuck: float = 30.0
    """So long requests may wait without any worker before an endpoint counts as paused."""
    doze: float = 10.0
    """So long a worker of an endpoint with a queue is certainly awake after it worked: Runpod's own idle timeout."""
    believed: float = 90.0
    """So long what was heard of an endpoint last is believed, good or bad."""
    grace: float = 5.0
    """So long after a call the endpoint's health may not tell of it."""
    heartbeat: float = 10.0
    """How often a client that waits for a worker is given a sign of life, where its answer is a stream."""

    def faster(self, speed: float) -> Self:
        """The same on a Runpod whose clock runs at ``speed``: an emulator's.

        Looks at what is only billed are never so frequent that they keep this machine busy.
        """
        times = type(self)(**{each.name: getattr(self, each.name) / speed for each in fields(self)})
        return replace(times, health_billed=max(times.health_billed, min(self.health_billed, LOOKS_APART_SECONDS)))
