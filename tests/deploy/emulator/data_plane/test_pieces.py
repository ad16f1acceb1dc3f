"""How answers are cut on their way."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.emulator.data_plane.pieces import GARBAGE, Cutter, Spoiler, StreamCut
from deploy.emulator.model.faults import Faults

EVENTS = [f'data: {{"content": "{word}"}}\n\n'.encode() for word in ("Größe", "東京", "🙂", "plain", "café")]


def cut(cutter: Cutter, events: list[bytes]) -> list[str]:
    return [text for event in events for text in cutter.feed(event)] + cutter.end()


@given(st.integers(0, 1000), st.one_of(st.none(), st.integers(1, 40)))
def test_pieces_joined_are_what_was_sent(seed: int, size: int | None) -> None:
    """Wherever they were cut, no character is lost."""
    texts = cut(Cutter(Random(seed), Faults(piece_bytes=size)), EVENTS)
    assert "".join(texts).encode() == b"".join(EVENTS)
    assert "" not in texts


def test_pieces_do_not_end_where_events_end() -> None:
    texts = cut(Cutter(Random(1), Faults()), EVENTS * 5)
    assert any(not text.endswith("\n\n") for text in texts[:-1])
    assert any(text.endswith("\n\n") for text in texts[:-1])


def test_on_demand_characters_are_cut_and_lost() -> None:
    """The worker decodes each chunk by itself, and replaces what it cannot read."""
    texts = cut(Cutter(Random(1), Faults(split_characters=True, piece_bytes=3)), EVENTS)
    assert "\ufffd" in "".join(texts)
    assert max(len(text.encode()) for text in texts if "\ufffd" not in text) <= 3


def test_a_stream_is_cut_after_so_many_pieces() -> None:
    spoiler = Spoiler(Faults(cut_after=2))
    assert [spoiler.spoil(b"a"), spoiler.spoil(b"b")] == [b"a", b"b"]
    with pytest.raises(StreamCut):
        spoiler.spoil(b"c")


def test_each_nth_piece_is_garbled() -> None:
    spoiler = Spoiler(Faults(garble_every=2))
    assert [spoiler.spoil(b"a") for _ in range(4)] == [b"a", GARBAGE, b"a", GARBAGE]
