"""What is shown of a worker's log: the last lines, without what looks like a key."""

import re
from collections.abc import Sequence

from deploy.fleet.answers import Worker
from deploy.fleet.control_plane import ControlPlane
from deploy.fleet.errors import ControlPlaneError

LINES_MAX = 12
LINE_CHARACTERS_MAX = 300
_SECRET = re.compile(r"\b(?:hf_|sk-|rpa_|sk_)[A-Za-z0-9_-]{6,}|(?<=--hf-token[ =])\S+|(?<=Bearer )\S+")
_ORDER = ("UNHEALTHY", "RUNNING", "INITIALIZING", "THROTTLED", "IDLE")


def shown(line: str) -> str:
    """A line as it may be shown: worker-vllm writes its whole command line into its log, tokens included."""
    return _SECRET.sub("(hidden)", line)[:LINE_CHARACTERS_MAX]


async def last_words(plane: ControlPlane, endpoint_id: str) -> tuple[str, ...]:
    """The last lines of the worker that tells most: one that crashed, else one that runs; none where there are none."""
    try:
        workers = (await plane.workers(endpoint_id)).workers
        if not workers:
            return ()
        worker = min(workers, key=_rank)
        lines = await plane.log(endpoint_id, worker.id, tail=LINES_MAX)
    except ControlPlaneError:
        return ()
    return tuple(f"{worker.id}: {shown(line)}" for line in lines)


def _rank(worker: Worker) -> int:
    ranks: Sequence[str] = _ORDER
    return ranks.index(worker.status) if worker.status in ranks else len(ranks)
