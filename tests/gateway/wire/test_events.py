"""A stream on its way: what passes, what does not, and what is learnt from it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamFailed
from gateway.wire.events import EVENT_BYTES_MAX, EventStream
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

contents = st.sampled_from(["", "a", "Hello world", "é🤖", "[DONE]", "data: x", '{"usage":1}', "\r\n\r\n"])
events = st.one_of(
    contents.map(lambda text: chunk({"content": text})),
    contents.map(lambda text: chunk({"content": text}, usage=USAGE)),
    contents.map(lambda text: chunk({"content": text}, usage=None)),
    st.sampled_from([ROLE, USAGE_CHUNK, b": ping\n\n", b"event: message\nid: 4\n" + HELLO, b"\n", b"retry: 10\n\n"]),
    st.just(b'data: {"choices":\ndata:  []}\n\n'),
    st.just(b"data:" + HELLO[6:]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A chat stream that ends well, with one kind of line ends or with mixed ones."""
    written = b"".join([*draw(st.lists(events, max_size=8)), STOP])
    written += draw(st.sampled_from([DONE, b"", USAGE_CHUNK + DONE, USAGE_CHUNK, b"data: [DONE]", b"data: [DONE]\n"]))
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r", None]))
    if end is not None:
        return written.replace(b"\n", end)
    return b"".join(line + draw(st.sampled_from([b"\n", b"\r\n"])) for line in written.removesuffix(b"\n").split(b"\n"))


@given(stream=streams(), wants_usage=st.booleans(), data=st.data())
def test_pieces_make_no_difference(stream: bytes, wants_usage: bool, data: st.DataObject) -> None:
    """However the network cuts a stream: the same bytes go on, and the same is known of it."""
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=12))})
    whole, known = follow([stream], wants_usage=wants_usage)
    pieces, known_too = follow([stream[a:b] for a, b in pairwise(cuts)], wants_usage=wants_usage)
    bytewise, _ = follow([stream[i : i + 1] for i in range(len(stream))], wants_usage=wants_usage)
    assert pieces == whole == bytewise
    assert known_too.usage == known.usage
    assert known_too.token_seen == known.token_seen
    assert known_too.counted_output() == known.counted_output()


@given(stream=streams(), wants_usage=st.booleans())
def test_a_client_gets_all_content_and_usage_only_where_it_asked_and_never_beside_content(
    stream: bytes, wants_usage: bool
) -> None:
    """CrewAI drops the content of a chunk that carries usage."""
    sent, known = follow([stream], wants_usage=wants_usage)
    before, after = read(stream), read(sent)
    assert text(after) == text(before)
    with_usage = [one for one in after if one.get("usage")]
    assert all(one["choices"] == [] for one in with_usage)
    if not wants_usage:
        assert not with_usage
    elif known.usage is not None:
        assert with_usage
    assert sent.rstrip().endswith(b"data: [DONE]")
    assert sent.count(b"data: [DONE]") - stream.count(b"data: [DONE]") in {0, 1}


def text(chunks: list[dict[str, Any]]) -> str:
    """All content."""
    return "".join(choice["delta"].get("content") or "" for one in chunks for choice in one["choices"])


def test_a_stream_that_needs_no_change_passes_as_the_bytes_that_came() -> None:
    """The very object, unless it was cut: nothing is copied on the usual way."""
    stream = EventStream(Dialect.CHAT, wants_usage=True)
    for piece in (ROLE, HELLO + HELLO, STOP, USAGE_CHUNK, b": a comment\n\n", DONE):
        assert stream.feed(piece) == piece
    assert stream.finish() == b""
    assert stream.complete


def test_line_ends_of_every_kind_pass_as_they_came() -> None:
    """Also around an event that is withheld."""
    crlf = (HELLO + STOP + USAGE_CHUNK + DONE).replace(b"\n", b"\r\n")
    assert follow([crlf])[0] == (HELLO + STOP + DONE).replace(b"\n", b"\r\n")
    assert follow([crlf], wants_usage=True)[0] == crlf


def test_usage_is_withheld_from_a_client_that_did_not_ask() -> None:
    """The gateway asked, the client never knew; but the gateway read it."""
    sent, stream = follow([ROLE, HELLO, STOP, USAGE_CHUNK, DONE])
    assert sent == ROLE + HELLO + STOP + DONE
    assert stream.usage == COUNTED


def test_usage_is_passed_to_a_client_that_asked() -> None:
    """As the bytes that came."""
    sent, stream = follow([HELLO, STOP, USAGE_CHUNK, DONE], wants_usage=True)
    assert sent == HELLO + STOP + USAGE_CHUNK + DONE
    assert stream.usage == COUNTED


def test_usage_beside_content_is_taken_off() -> None:
    """The content stays, the rest of the chunk too."""
    sent, stream = follow([chunk({"content": "Hi"}, usage=USAGE, id="x"), STOP, DONE])
    assert read(sent)[0]["id"] == "x"
    assert text(read(sent)) == "Hi"
    assert b"usage" not in sent
    assert stream.usage == COUNTED


@pytest.mark.parametrize("end", [DONE, b""])
def test_usage_that_was_taken_off_comes_in_a_last_chunk_of_its_own(end: bytes) -> None:
    """For a client that asked; the latest of them, before the end, whether the endpoint marks that or not."""
    first, last = {"prompt_tokens": 7, "completion_tokens": 1}, USAGE
    sent, _ = follow(
        [chunk({"content": "a"}, usage=first, id="x"), chunk({}, finish="stop", usage=last, id="x"), end],
        wants_usage=True,
    )
    *_, owed = read(sent)
    assert owed == {"object": "chat.completion.chunk", "id": "x", "choices": [], "usage": last}
    assert sent.endswith(DONE)
    assert sent.count(b'"usage"') == 1


def test_usage_that_was_taken_off_is_not_sent_beside_the_endpoints_own() -> None:
    """One usage chunk, not two."""
    sent, _ = follow([chunk({"content": "a"}, usage=USAGE), STOP, USAGE_CHUNK, DONE], wants_usage=True)
    assert sent.count(b'"usage"') == 1
    assert sent.endswith(USAGE_CHUNK + DONE)


def test_usage_of_zero_is_zero_and_usage_without_counts_is_none() -> None:
    """An empty usage does not overwrite an earlier one either."""
    assert follow([STOP, event({"choices": [], "usage": {"prompt_tokens": 0}}), DONE])[1].usage == Usage()
    assert follow([STOP, event({"choices": [], "usage": {}}), DONE])[1].usage is None
    assert follow([STOP, USAGE_CHUNK, event({"choices": [], "usage": {}}), DONE])[1].usage == COUNTED


def test_a_missing_end_mark_is_added_where_the_answer_is_complete() -> None:
    """A finish reason was seen; clients wait for ``[DONE]``."""
    assert follow([HELLO, STOP])[0] == HELLO + STOP + DONE
    assert follow([HELLO, STOP, USAGE_CHUNK])[0] == HELLO + STOP + DONE


def test_an_end_mark_is_added_once() -> None:
    """However often the end is asked for."""
    stream = EventStream(Dialect.CHAT, wants_usage=False)
    assert stream.feed(STOP.rstrip()) == b""
    assert stream.finish() == STOP + DONE
    assert stream.finish() == b""


@pytest.mark.parametrize("stream", [b"", ROLE, HELLO, b": ping\n\n", HELLO + USAGE_CHUNK, HELLO + b"data: {\n"])
def test_a_stream_that_just_stops_is_a_failure(stream: bytes) -> None:
    """A cut answer is never made to look complete."""
    with pytest.raises(UpstreamFailed):
        follow([stream])


def test_a_last_event_without_a_blank_line_counts() -> None:
    """Some servers close right after it."""
    sent, stream = follow([HELLO, STOP, b"data: [DONE]"])
    assert sent == HELLO + STOP + DONE
    assert stream.complete
    assert follow([HELLO, STOP, b"data: [DONE]\r\n"])[0] == HELLO + STOP + DONE


@pytest.mark.parametrize(
    "garbled",
    [
        b"data: {\n\n",
        b"data: hello\n\n",
        b"data: [1]\n\n",
        b'data: {"usage":"none"}\n\n',
        b'data: {"choices":[{"delta":7}]}\n\n',
        b'data: {"choices":"x"}\n\n',
        b'data: {"error":{"message":"\xff"}}\n\n',
        b'data: {"choices":[{"delta":{"content":"\xff"}}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
    ],
    ids=lambda value: repr(value)[:48],
)
def test_an_event_that_cannot_be_read_ends_the_stream(garbled: bytes) -> None:
    """As the endpoint's failure, whatever is wrong with its bytes."""
    with pytest.raises(UpstreamFailed, match=r"not valid JSON|cannot be read"):
        feed(garbled)


def test_a_second_line_of_an_event_counts_wherever_the_piece_ends() -> None:
    """An event is not over with its first line, though that may be JSON by itself."""
    with pytest.raises(UpstreamFailed, match="not valid JSON"):
        follow([ROLE, HELLO, HELLO[:-1] + b"d", b"ata: more\n\n"])


def test_an_unreadable_end_is_a_failure_too() -> None:
    """Choices are looked at again for their finish reason."""
    with pytest.raises(UpstreamFailed, match="choices cannot be read"):
        follow([HELLO, event({"choices": [{"finish_reason": 7}]})])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"message": "CUDA out of memory", "code": 500}, "CUDA out of memory"),
        ("engine died", "engine died"),
        ({"code": 7}, "{'code': 7}"),
    ],
)
@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.MESSAGES])
def test_an_error_inside_the_stream_is_the_endpoints_failure(error: object, said: str, dialect: Dialect) -> None:
    """What it said is repeated, cut at 500 characters."""
    with pytest.raises(UpstreamFailed) as caught:
        feed(event({"type": "error", "error": error}), dialect=dialect)
    assert caught.value.message.endswith(f"an error inside its stream: {said}")
    with pytest.raises(UpstreamFailed) as caught:
        feed(event({"error": "x" * 9999}))
    assert len(caught.value.message) < 600


def test_an_error_of_null_is_none() -> None:
    """In vLLM's responses there is one."""
    assert feed(event({"choices": [], "error": None}))[0]


def test_an_endless_event_is_refused() -> None:
    """Memory is bounded, also by an endpoint that never writes a blank line."""
    stream = EventStream(Dialect.CHAT, wants_usage=False)
    assert stream.feed(b"data: " + b"x" * (EVENT_BYTES_MAX - 6)) == b""
    with pytest.raises(UpstreamFailed, match=str(EVENT_BYTES_MAX)):
        stream.feed(b"x")


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": ""},
        {"tool_calls": []},
        {"content": None, "tool_calls": None, "function_call": {}, "reasoning": ""},
        {},
    ],
)
def test_a_chunk_without_content_is_no_token(delta: dict[str, Any]) -> None:
    """A role alone comes before the model has thought."""
    _, stream = feed(chunk(delta), chunk(delta, finish="stop"))
    assert not stream.token_seen
    assert stream.counted_output() == 0


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"content": None, "reasoning_content": "a"},
        {"reasoning": "a"},
        {"refusal": "a"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f"}},
    ],
)
def test_content_of_any_kind_is_a_token(delta: dict[str, Any]) -> None:
    """Text, thought, refusal or tool call."""
    assert not feed(ROLE)[1].token_seen
    _, stream = feed(ROLE, chunk(delta))
    assert stream.token_seen
    assert stream.counted_output() >= 1


def test_any_of_several_choices_may_bring_the_token() -> None:
    """With ``n`` above one the first choice may still be silent."""
    assert feed(chunk({"content": ""}, {"content": "a"}))[1].token_seen


def test_a_text_completions_token_is_its_text() -> None:
    """It has no ``delta``."""
    empty, some = event({"choices": [{"text": ""}]}), event({"choices": [{"text": "a"}]})
    assert not feed(empty, dialect=Dialect.COMPLETION)[1].token_seen
    assert feed(empty, some, dialect=Dialect.COMPLETION)[1].token_seen
    assert follow([event({"choices": [{"text": "a", "finish_reason": "length"}]})], Dialect.COMPLETION)[0].endswith(
        DONE
    )


def test_output_is_counted_by_events_or_by_bytes_whichever_is_more() -> None:
    """A token an event as vLLM sends them; several in one event under load."""
    _, one_each = feed(ROLE, *[chunk({"content": "a"})] * 5)
    assert one_each.counted_output() == 5
    _, many = feed(ROLE, chunk({"content": "x" * 400}), chunk({"content": "x" * 400}))
    assert 200 <= many.counted_output() <= 210
    _, none = feed(ROLE)
    assert none.counted_output() == 0


RESPONSES_STREAM = [
    event({"type": "response.created", "response": {"id": "r", "usage": None}}),
    event({"type": "response.output_item.added", "item": {}}),
    event({"type": "response.output_text.delta", "delta": "Hello"}),
    event(
        {
            "type": "response.completed",
            "response": {"usage": {"input_tokens": 7, "output_tokens": 3}, "error": None},
        }
    ),
]


@pytest.mark.parametrize(
    ("dialect", "pieces", "before_token"),
    [(Dialect.RESPONSES, RESPONSES_STREAM, 2), (Dialect.MESSAGES, MESSAGES_STREAM, 3)],
    ids=["responses", "messages"],
)
def test_typed_streams_pass_untouched_and_are_read(dialect: Dialect, pieces: list[bytes], before_token: int) -> None:
    """They say in ``type`` what they are; usage belongs to their last events and is not withheld."""
    sent, stream = follow(pieces, dialect)
    assert sent == b"".join(pieces)
    assert stream.usage == COUNTED
    assert stream.complete
    assert stream.counted_output() == 1
    assert not feed(*pieces[:before_token], dialect=dialect)[1].token_seen
    assert feed(*pieces[: before_token + 1], dialect=dialect)[1].token_seen
    with pytest.raises(UpstreamFailed, match="before the answer was complete"):
        follow(pieces[:-1], dialect)


@pytest.mark.parametrize("kind", ["response.incomplete", "response.failed"])
def test_a_response_that_did_not_complete_has_ended_too(kind: str) -> None:
    """Its client is told by the event itself."""
    assert follow([event({"type": kind, "response": {}})], Dialect.RESPONSES)[1].complete


def test_counts_that_come_in_parts_are_put_together() -> None:
    """Anthropic reports the prompt first and the answer later; the larger of each counts."""
    _, stream = feed(
        event({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}),
        event({"type": "message_delta", "usage": {"output_tokens": 5}}),
        event({"type": "message_delta", "usage": {}}),
        dialect=Dialect.MESSAGES,
    )
    assert stream.usage == Usage(input=7, output=5)


def test_a_long_typed_answer_without_usage_is_counted() -> None:
    """By its events with content."""
    delta = event({"type": "response.output_text.delta", "delta": "a"})
    assert feed(*[delta] * 9, dialect=Dialect.RESPONSES)[1].counted_output() == 9


@pytest.mark.parametrize("body", [b'{"type":7}', b'{"message":"text"}', b'{"response":{}}'])
def test_typed_events_of_unknown_form_pass(body: bytes) -> None:
    """New kinds of event come with every release of the engines."""
    whole = b"data: " + body + b"\n\n"
    assert feed(whole, dialect=Dialect.RESPONSES)[0] == whole
