"""A worker's log, read to the end of what is there."""

import httpx
import pytest

from deploy.fleet.errors import ControlPlaneLost, ControlPlaneMissing
from deploy.fleet.worker_log import read_lines
from tests.deploy.fleet.planes import ORIGIN, Said, Script

EVENTS = (
    'id: 1\ndata: {"line": "one", "source": "container"}\n\ndata: {"message": "two"}\n\n: hm\ndata: three\n\ndata: 4\n'
)


async def read(answer: Said, *, most: int = 10) -> tuple[str, ...]:
    async with httpx.AsyncClient(transport=Script([answer])) as client:
        return await read_lines(client, f"{ORIGIN}/logs", {"tail": "10"}, lines_max=most, quiet_seconds=5.0)


async def test_lines_come_without_their_wrapping() -> None:
    assert await read((200, EVENTS)) == ("one", "two", "three", "4")


async def test_the_last_lines_are_kept() -> None:
    assert await read((200, EVENTS), most=2) == ("three", "4")


async def test_a_worker_that_is_gone_is_told() -> None:
    with pytest.raises(ControlPlaneMissing):
        await read((404, {}))


@pytest.mark.parametrize("answer", [(500, {}), httpx.ConnectError("no")])
async def test_a_log_that_cannot_be_read_is_told(answer: Said) -> None:
    with pytest.raises(ControlPlaneLost):
        await read(answer)
