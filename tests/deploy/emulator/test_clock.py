"""The emulator's clock."""

import asyncio

import pytest

from deploy.emulator.clock import EmulatedClock


async def test_it_runs_faster_than_the_machines() -> None:
    clock = EmulatedClock(start=1000.0, speed=1000.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert 1000.0 <= clock.now() < 1100.0
    await clock.sleep(50.0)
    assert clock.now() >= 1050.0
    assert loop.time() - began < 5


async def test_it_stands_until_it_is_moved() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(10.0))
    await asyncio.sleep(0)
    clock.advance(9.9)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(0.1)
    await sleeper
    assert clock.now() == 10.0


async def test_a_jump_rings_alarms_in_their_order_each_at_its_time() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)
    rung: list[tuple[str, float]] = []
    clock.call_at(7.0, lambda: rung.append(("late", clock.now())))
    clock.call_at(3.0, lambda: rung.append(("early", clock.now())))
    clock.call_at(5.0, lambda: rung.append(("never", clock.now()))).cancel()
    clock.call_at(99.0, lambda: rung.append(("later", clock.now())))
    clock.advance(10.0)
    assert rung == [("early", 3.0), ("late", 7.0)]
    assert clock.now() == 10.0


async def test_an_alarm_rings_once() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)
    rung: list[float] = []
    alarm = clock.call_at(1.0, lambda: rung.append(clock.now()))
    assert alarm.live
    clock.advance(2.0)
    alarm.ring()
    assert rung == [1.0]
    assert not alarm.live


async def test_another_speed_begins_from_the_present() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(100.0))
    await asyncio.sleep(0)
    clock.set_speed(10_000.0)
    assert clock.speed == 10_000.0
    async with asyncio.timeout(5):
        await sleeper
    clock.set_speed(0)
    stopped = clock.now()
    assert stopped >= 100.0
    await asyncio.sleep(0.01)
    assert clock.now() == stopped


async def test_a_timeout_is_of_emulated_time() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)

    async def wait() -> None:
        async with clock.timeout(5.0):
            await asyncio.get_running_loop().create_future()

    waiter = asyncio.get_running_loop().create_task(wait())
    await asyncio.sleep(0)
    clock.advance(5.0)
    with pytest.raises(TimeoutError):
        await waiter


async def test_a_block_that_is_quicker_is_not_ended() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)
    async with clock.timeout(5.0):
        pass
    clock.advance(10.0)
    await asyncio.sleep(0)


async def test_a_sleeper_that_was_cancelled_is_not_woken() -> None:
    clock = EmulatedClock(start=0.0, speed=0.0)
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(5.0))
    await asyncio.sleep(0)
    clock.advance(5.0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
