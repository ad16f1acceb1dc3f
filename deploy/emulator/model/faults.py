"""What goes wrong on demand, per endpoint; all of it is off by default."""

from dataclasses import dataclass
from typing import Literal

ColdBody = Literal["timed_out", "no_workers"]
Operation = Literal[
    "run", "runsync", "status", "stream", "cancel", "retry", "purge-queue", "requests", "openai", "balance"
]
"""What is called on the data plane; ``balance`` is any request to a load balancer."""
FailureShape = Literal["status_500", "status_200"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What the admin API switched on for one endpoint.

    Attributes:
        no_capacity: No GPU is free: workers are throttled.
        crash_loop: The container ends while it loads, again and again.
        pull_seconds: How long the image pull takes, in place of the usual spread.
        load_seconds: How long the container takes from its start to its first answer, in place of the usual spread.
        status: Requests are answered with this HTTP status (429, 500, 502, …) instead of being served.
        reset: Connections are reset before an answer.
        silence: Requests are taken and never answered.
        cut_after: Streams end after so many pieces, without ``[DONE]``.
        garble_every: Each n-th piece of a stream is not what it should be.
        split_characters: Pieces may end within a UTF-8 character, which the worker then replaces.
        piece_bytes: Pieces are cut every so many bytes, in place of the usual seeded cuts.
        engine_status: The engine answers with this status and an OpenAI error (400, 404, 500).
        stuck_jobs: Jobs begin and never end.
        crash_in_job: The worker dies when a job begins.
        remaining: For ``status``, ``reset`` and ``silence``: how many requests are still hit; ``None`` is all.
        operation: For ``status``, ``reset`` and ``silence``: the one operation that is hit; ``None`` is every one.
        cold_body: Which of the two reported bodies a load balancer's HTTP 400 has.
        failed_openai: How a failed job shows on the platform's OpenAI route; both were reported.
    """

    no_capacity: bool = False
    crash_loop: bool = False
    pull_seconds: float | None = None
    load_seconds: float | None = None
    status: int | None = None
    reset: bool = False
    silence: bool = False
    cut_after: int | None = None
    garble_every: int | None = None
    split_characters: bool = False
    piece_bytes: int | None = None
    engine_status: int | None = None
    stuck_jobs: bool = False
    crash_in_job: bool = False
    remaining: int | None = None
    operation: Operation | None = None
    cold_body: ColdBody = "timed_out"
    failed_openai: FailureShape = "status_500"
