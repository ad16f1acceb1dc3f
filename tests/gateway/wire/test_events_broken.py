"""Streams that break, lie or lack their end: what is a failure, and what is completed."""

import pytest

from gateway.errors import UpstreamFailed
from gateway.wire.events import LONG_EVENT_BYTES, EventStream
from gateway.wire.operations import Dialect
from tests.gateway.wire.samples import (
    DONE,
    HELLO,
    MESSAGES_STREAM,
    ROLE,
    STOP,
    USAGE,
    USAGE_CHUNK,
    chunk,
    event,
    feed,
    follow,
    read,
)
from tiers.usage import Usage

COUNTED = Usage(input=7, output=3)


@pytest.mark.parametrize("stream", [DONE, ROLE + DONE, ROLE + HELLO + DONE, HELLO + USAGE_CHUNK + DONE])
def test_an_end_mark_without_a_finish_reason_is_a_failure(stream: bytes) -> None:
    """Something on the way wrote it after a cut: the answer has not ended."""
    with pytest.raises(UpstreamFailed, match="finish reason"):
        feed(stream)
    with pytest.raises(UpstreamFailed, match="finish reason"):
        feed(event({"choices": [{"text": "a"}]}), DONE, dialect=Dialect.COMPLETION)


def test_an_answer_of_several_is_complete_when_each_has_its_finish_reason() -> None:
    """The first that ends says nothing of the others."""
    ends = [event({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}) for index in (0, 1)]
    stream = EventStream(Dialect.CHAT, wants_usage=False, choices=2)
    stream.feed(chunk({"content": "a"}, {"content": "b"}))
    finished = []
    for end in ends:
        stream.feed(end)
        finished.append(stream.finished)
    assert finished == [False, True]
    assert stream.finish() == DONE
    cut = EventStream(Dialect.CHAT, wants_usage=False, choices=2)
    cut.feed(chunk({"content": "a"}, {"content": "b"}))
    cut.feed(ends[0])
    with pytest.raises(UpstreamFailed, match="before the answer was complete"):
        cut.finish()
    both = EventStream(Dialect.CHAT, wants_usage=False, choices=2)
    both.feed(chunk({"content": "a"}, {"content": "b"}, finish="stop"))
    assert both.finished


def test_a_finish_reason_beside_content_ends_the_answer() -> None:
    """Where it comes alone in a piece, or with others, in tight JSON or in wide."""
    last = b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length"}]}\n\n'
    for pieces in ([HELLO, last], [HELLO + last], [HELLO, last.replace(b":", b": ")]):
        assert follow(pieces)[0] == b"".join(pieces) + DONE


@pytest.mark.parametrize("cut", [USAGE_CHUNK[:-9], USAGE_CHUNK[:9], DONE[:8], "é".encode()[:1]])
def test_a_complete_answer_whose_end_is_cut_is_completed(cut: bytes) -> None:
    """Nothing of the content is missing; the piece of an event is not passed on."""
    assert follow([HELLO, STOP, cut])[0] == HELLO + STOP + DONE


@pytest.mark.parametrize("cut", [HELLO[:20], HELLO.rstrip(), chunk({"content": "é"}).replace(b"\\u00e9", b"\xc3")])
def test_a_stream_that_ends_within_its_content_is_a_failure(cut: bytes) -> None:
    """In the middle of an event or of a character, or after a whole one."""
    with pytest.raises(UpstreamFailed):
        follow([ROLE, HELLO, cut])


def test_bytes_that_are_no_text_end_the_stream() -> None:
    """A client that reads UTF-8 would break at them; what is UTF-8 passes."""
    good = 'data: {"choices":[{"delta":{"content":"é🤖"}}]}\n\n'.encode()
    assert feed(HELLO, good, good + good)[0] == HELLO + good * 3
    for bad in (good.replace(b"\xc3", b""), b"data: \xff\n\n"):
        with pytest.raises(UpstreamFailed, match=r"not UTF-8"):
            feed(HELLO, bad)


def test_a_bom_comments_and_unknown_fields_pass() -> None:
    """They mean nothing to whoever reads events, but an error behind a BOM does."""
    start = b"\xef\xbb\xbf" + ROLE
    assert follow([start, b": ping\n\n", b"id: 7\nretry: 10\n\n", STOP, DONE])[0].startswith(start + b": ping\n\nid")
    with pytest.raises(UpstreamFailed, match="dead"):
        feed(b"\xef\xbb\xbf" + event({"error": "dead"}))


@pytest.mark.parametrize("end", [DONE, b""])
def test_a_client_that_asked_for_usage_gets_the_gateways_count_where_there_is_none(end: bytes) -> None:
    """What it is charged for; in a chunk of its own, before the end. Nobody else gets it."""
    stream = EventStream(Dialect.CHAT, wants_usage=True, prompt_bytes=40)
    sent = stream.feed(chunk({"content": "a"}, id="x") + chunk({}, finish="stop", id="x")) + stream.feed(end)
    sent += stream.finish()
    *_, last = read(sent)
    assert last["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    assert (last["choices"], last["id"]) == ([], "x")
    assert sent.endswith(DONE)
    assert stream.usage is None
    assert b'"usage"' not in follow([HELLO, STOP, end])[0]
    assert (
        follow([HELLO, STOP, event({"choices": [], "usage": {"prompt_tokens": 0}}), end], wants_usage=True)[0].count(
            b'"usage"'
        )
        == 1
    )


def test_a_usage_chunk_without_counts_is_replaced() -> None:
    """It says nothing, and one is enough."""
    sent, _ = follow([HELLO, STOP, event({"choices": [], "usage": {}}), DONE], wants_usage=True)
    assert [one["usage"]["completion_tokens"] for one in read(sent) if "usage" in one] == [2]


def test_a_long_event_passes_in_one_piece_and_costs_no_more_than_its_bytes() -> None:
    """Responses carry the whole answer in their last event; it comes in hundreds of pieces."""
    text = "x" * (4 * LONG_EVENT_BYTES)
    last = event({"type": "response.completed", "response": {"output": text, "usage": USAGE}})
    pieces = [last[at : at + 997] for at in range(0, len(last), 997)]
    sent, stream = follow(pieces, Dialect.RESPONSES)
    assert sent == last
    assert stream.complete
    lines = b"data: {\n" + b'data: "type":"x",\n' * 40_000 + b'data: "a":1}\n\n'
    assert feed(*[lines[at : at + 4096] for at in range(0, len(lines), 4096)], dialect=Dialect.RESPONSES)[0] == lines
    cut = EventStream(Dialect.RESPONSES, wants_usage=False)
    for piece in pieces[:-1]:
        assert cut.feed(piece) == b""
    with pytest.raises(UpstreamFailed):
        cut.finish()


def test_a_message_with_its_stop_reason_is_complete() -> None:
    """Its end mark is added; without a stop reason the answer was cut."""
    reason = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}})
    begun = MESSAGES_STREAM[:4]
    sent, stream = follow([*begun, b"event: message_delta\n" + reason], Dialect.MESSAGES)
    assert sent.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert stream.usage == COUNTED
    for delta in ({"stop_reason": None}, None):
        with pytest.raises(UpstreamFailed, match="before the answer was complete"):
            follow([*begun, event({"type": "message_delta", "delta": delta})], Dialect.MESSAGES)


def test_an_error_event_of_the_responses_api_is_the_endpoints_failure() -> None:
    """It has its message at the top."""
    with pytest.raises(UpstreamFailed, match="out of memory"):
        feed(event({"type": "error", "code": "x", "message": "out of memory"}), dialect=Dialect.RESPONSES)
    with pytest.raises(UpstreamFailed, match="inside its stream"):
        feed(event({"type": "error"}), dialect=Dialect.RESPONSES)


def test_what_came_with_a_garbled_event_is_not_counted() -> None:
    """Nothing of that piece is sent on: the endpoint that continues the answer brings it again, and it counts there."""
    stream = EventStream(Dialect.CHAT, wants_usage=False)
    stream.feed(HELLO + HELLO)
    before = stream.counted_output()
    with pytest.raises(UpstreamFailed, match="not valid JSON"):
        stream.feed(HELLO + HELLO + b'data: {"choices":[{"in\n\n')
    assert stream.counted_output() == before > 0
