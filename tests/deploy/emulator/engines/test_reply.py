"""Engines' answers."""

from deploy.emulator.engines.reply import whole


async def test_a_body_can_come_in_one_piece() -> None:
    assert [piece async for piece in whole(b"abc")] == [b"abc"]
