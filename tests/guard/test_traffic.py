"""The bytes of the counted calls are what they claim to be."""

import json

from tests.guard import traffic
from tiers.load import load


def test_the_request_is_whole_and_asks_for_what_it_is_named_after() -> None:
    for stream in (False, True):
        head, _, body = traffic.request(stream=stream).partition(b"\r\n\r\n")
        assert traffic.is_whole(traffic.request(stream=stream))
        assert json.loads(body).get("stream", False) is stream
        assert f"Bearer {traffic.KEY}".encode() in head


def test_a_message_is_whole_with_its_last_byte_only() -> None:
    answer = traffic.json_answer()
    assert traffic.is_whole(answer)
    assert not any(traffic.is_whole(answer[:size]) for size in range(len(answer)))


def test_a_stream_has_its_events_each_with_a_mark_of_its_own() -> None:
    pieces = traffic.stream_pieces()
    assert len(pieces) == traffic.EVENTS + 1
    for number, (piece, mark) in enumerate(pieces):
        assert mark in piece
        assert [at for at, (other, _) in enumerate(pieces[: traffic.EVENTS]) if mark in other] in ([number], [])
    assert traffic.DONE in pieces[-1][0]


def test_the_tier_map_is_valid_and_has_a_budget_for_the_tier_and_one_for_the_key() -> None:
    loaded = load(json.dumps(traffic.tier_map("http://127.0.0.1:9/v1")), file="tiers.yaml")
    assert [budget.name for budget in loaded.budgets] == ["fast-monthly", "per-key"]
    assert [endpoint.url for endpoint in loaded.tiers["fast"].endpoints] == ["http://127.0.0.1:9/v1"]
