"""The child's side of the line to its parent."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gateway.checked_map import text_hash
from gateway.processes.assignment import (
    Forget,
    Leave,
    Note,
    Order,
    Prepare,
    Swap,
    Told,
    Word,
    encoded,
    read_word,
)
from gateway.processes.parent_line import ParentLine
from gateway.served import Outcome, Rejection, ServedMap
from tests.gateway.composed import Composed, composed
from tests.gateway.test_api import GOOD
from tests.stores import eventually

OUTCOME = Outcome(result="loaded", generation=5, hash="abc")


class Parent:
    """Both ends of the line."""

    def __init__(self) -> None:
        self.ear, self.mouth = os.pipe()
        self._heard, child_mouth = os.pipe()
        os.set_blocking(self._heard, False)
        self._descriptors = [self.ear, self.mouth, self._heard, child_mouth]
        self.line = ParentLine(self.ear, child_mouth, tiers_file="tiers.yaml")
        self.said = b""

    def give(self, *orders: Order) -> None:
        """All in one write."""
        os.write(self.mouth, b"".join(map(encoded, orders)))

    def words(self) -> list[Word | None]:
        """All that the child has said so far."""
        with suppress(BlockingIOError):
            self.said += os.read(self._heard, 100_000)
        return [read_word(line) for line in self.said.splitlines()]

    async def heard(self, number: int) -> list[Word | None]:
        """The same, once there are so many."""
        await eventually(lambda: len(self.words()) == number)
        return self.words()

    def end(self) -> None:
        """The parent is gone."""
        os.close(self.mouth)
        self._descriptors.remove(self.mouth)

    def close(self) -> None:
        """Close what is open."""
        for descriptor in self._descriptors:
            os.close(descriptor)


@pytest.fixture
def parent() -> Iterator[Parent]:
    made = Parent()
    yield made
    made.close()


class Child:
    """A composed gateway that obeys."""

    def __init__(self, parent: Parent) -> None:
        self.whole: Composed = composed()
        self.left: list[int] = []
        self._line = parent.line
        self._line.listen(lambda: self.left.append(0))
        obey = self._line.obey(self.whole.parts.succession, lambda: self.left.append(1))
        self._obeying = asyncio.ensure_future(obey)

    @property
    def generation(self) -> int:
        """Which one serves."""
        return self.whole.parts.succession.current.served.generation

    async def end(self) -> None:
        """Listen no longer."""
        self._line.close()
        self._obeying.cancel()
        await asyncio.gather(self._obeying, return_exceptions=True)


def prepare(text: str = GOOD, generation: int = 4) -> Prepare:
    """The order to make this map ready."""
    served = ServedMap(generation=generation, hash=text_hash(text.encode()), loaded_unix=1.0)
    return Prepare(tiers=text.encode(), served=served)


async def test_a_map_is_prepared_and_then_served(parent: Parent) -> None:
    """Each order is answered when it was done."""
    child = Child(parent)
    parent.give(prepare())
    assert await parent.heard(1) == [Word()]
    assert child.generation == 1
    parent.give(Swap())
    assert await parent.heard(2) == [Word(), Word()]
    assert child.generation == 4
    await child.end()


async def test_a_map_that_cannot_be_served_is_answered_with_why(parent: Parent) -> None:
    """However much there is to say, in a line that the parent can read."""
    child = Child(parent)
    many = "\n".join(f"bad{number}: 1" for number in range(3000))
    parent.give(prepare(many), Swap())
    refusal, swapped = await parent.heard(2)
    assert refusal is not None
    assert "bad7" in refusal.error
    assert len(parent.said) < 64 * 1024
    assert (swapped, child.generation) == (Word(), 1)
    await child.end()


async def test_what_is_forgotten_is_not_served(parent: Parent) -> None:
    """Another process could not prepare it. What is known of the file is taken note of."""
    child = Child(parent)
    rejection = Rejection(hash="bad", since_unix=2.0, problems=("it is",))
    parent.give(prepare(), Forget(), Note(rejected=rejection), Swap())
    await parent.heard(2)
    assert child.generation == 1
    assert child.whole.parts.succession.rejected == rejection
    parent.give(Note(rejected=None))
    await eventually(lambda: child.whole.parts.succession.rejected is None)
    await child.end()


async def test_whoever_asks_there_gets_the_parents_answer(parent: Parent) -> None:
    """In their order; who has left meanwhile, or does not wait, gets none."""
    child = Child(parent)
    leaves, stays = asyncio.ensure_future(parent.line.ask()), asyncio.ensure_future(parent.line.ask())
    await parent.heard(2)
    parent.line.ask_aloud()
    assert await parent.heard(3) == [Word(asks=True)] * 3
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    other = Outcome(result="unchanged", generation=1, hash="x")
    parent.give(Told(outcome=other), Told(outcome=OUTCOME), Told(outcome=other))
    assert await stays == OUTCOME
    await child.end()


async def test_orders_may_come_in_pieces_and_unknown_ones_are_passed_over(parent: Parent) -> None:
    """A line is complete with its end."""
    child = Child(parent)
    os.write(parent.mouth, b'{"type": "dance"}\nnonsense\n' + encoded(Leave())[:5])
    await asyncio.sleep(0.01)
    assert child.left == []
    os.write(parent.mouth, encoded(Leave())[5:])
    await eventually(lambda: child.left == [1])
    await child.end()


async def test_the_parents_end_is_noticed(parent: Parent) -> None:
    """And what is said to it then is lost."""
    child = Child(parent)
    parent.end()
    await eventually(lambda: child.left == [0])
    assert parent.line.torn
    await child.end()
