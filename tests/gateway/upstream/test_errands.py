"""Work that outlives its request."""

import asyncio

from gateway.upstream.errands import Errands


async def test_the_end_waits_for_errands() -> None:
    """Each is done."""
    errands, done = Errands(), asyncio.Event()

    async def errand() -> None:
        await asyncio.sleep(0.01)
        done.set()

    errands.begin(errand())
    await errands.finish(5)
    assert done.is_set()


async def test_but_not_for_ever() -> None:
    """What hangs is cancelled."""
    errands, ended = Errands(), asyncio.Event()

    async def errand() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    errands.begin(errand())
    await asyncio.sleep(0)
    await errands.finish(0.01)
    assert ended.is_set()


async def test_where_there_are_none_nothing_is_waited_for() -> None:
    """As mostly."""
    await Errands().finish(600)
