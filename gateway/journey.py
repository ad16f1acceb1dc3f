"""What a way to an endpoint on Runpod tells of one attempt, beside its answer: where the time went there."""

from typing import Literal

Way = Literal["", "route", "job", "balancer"]
"""How a request went: over the OpenAI route of a queue, as a job, or through a load balancer; empty before it left."""


class Journey:
    """Filled in by the transport while the attempt is under way, whatever becomes of it; durations are seconds.

    Attributes:
        way: The way that the request took.
        cold: Whether no worker was awake when it left.
        job: The id of its job on Runpod; empty without one.
        worker: The id of the worker that served it; empty where nobody said.
        tries: How often it was sent, where a cold endpoint has to be asked again and again.
        delay_seconds: From the job's acceptance to a worker's taking it, as Runpod says: queue and cold start.
        execution_seconds: How long the worker was busy with it, as Runpod says.
        worked_seconds_max: The same on this process's clock: it owes no more. ``None`` where nobody said.
    """

    __slots__ = (
        "cold", "delay_seconds", "execution_seconds", "job", "tries", "way", "worked_seconds_max", "worker",
    )  # fmt: skip

    def __init__(self) -> None:
        self.way: Way = ""
        self.cold = False
        self.job = ""
        self.worker = ""
        self.tries = 0
        self.delay_seconds: float | None = None
        self.execution_seconds: float | None = None
        self.worked_seconds_max: float | None = None
