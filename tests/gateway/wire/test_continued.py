"""Two parts of an answer, made one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamFailed
from gateway.wire.continued import Continued
from gateway.wire.events import EventStream
from gateway.wire.operations import Dialect
from gateway.wire.unfinished import Unfinished
from tests.gateway.wire.samples import DONE, HELLO, ROLE, STOP, USAGE_CHUNK, call, chunk, event

ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi."}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
FIRST = {"id": "one", "created": 1, "model": "m", "object": "chat.completion.chunk"}
SECOND = {"id": "two", "created": 2, "model": "other", "object": "chat.completion.chunk"}
SEAM = b": tiergate continued on tier/1\n\n"


class Joined:
    """An answer that breaks off and goes on at another endpoint; ``sent`` is what the client has."""

    def __init__(self, *, wants_usage: bool = True) -> None:
        asked = call(ASKED if wants_usage else {name: ASKED[name] for name in ("model", "messages", "stream")})
        self.unfinished = Unfinished(asked)
        self.wants_usage = wants_usage
        self.sent = b""

    def begin(self, *pieces: bytes) -> None:
        """What comes of the first part, before it breaks."""
        events = self._events()
        for piece in pieces:
            self._send(events.feed(piece))
        self.unfinished.broke(events.usage, events.counted_output())

    def go_on(self, *pieces: bytes) -> None:
        """The rest, to its end."""
        assert self.unfinished.possible
        events = self._events()
        continued = Continued(self.unfinished, events, "tier/1")
        for piece in pieces:
            self._send(continued.joined(events.feed(piece)))
        self._send(continued.joined(events.finish()))

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """What the client reads."""
        lines = self.sent.decode().split("\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]

    @property
    def text(self) -> str:
        """All content."""
        return "".join(one["delta"].get("content") or "" for chunk in self.chunks for one in chunk["choices"])

    def _events(self) -> EventStream:
        return EventStream(Dialect.CHAT, wants_usage=self.wants_usage, prompt_bytes=40)

    def _send(self, piece: bytes) -> None:
        self.unfinished.took(piece)
        self.sent += piece


def said(*tokens: str, **fields: Any) -> list[bytes]:  # noqa: ANN401 - JSON
    """A whole answer as vLLM streams it."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": token} for token in tokens)]
    usage = {"prompt_tokens": 9, "completion_tokens": len(tokens), "total_tokens": 9 + len(tokens), "x": None}
    return [
        *(chunk(delta, **fields) for delta in deltas),
        chunk({}, finish="stop", **fields),
        event({**fields, "choices": [], "usage": usage}),
        DONE,
    ]


def test_the_client_sees_one_stream() -> None:
    """One identity, one role, one finish reason, one usage, one end; a comment where the parts meet."""
    joined = Joined()
    joined.begin(*said("Hel", "lo", **FIRST)[:3])
    joined.go_on(*said(" you", "!", **SECOND))
    assert joined.text == "Hello you!"
    assert all({name: one[name] for name in FIRST} == FIRST for one in joined.chunks)
    assert [one["delta"] for chunk in joined.chunks for one in chunk["choices"] if "role" in one["delta"]] == [
        {"role": "assistant", "content": ""}
    ]
    reasons = [one["finish_reason"] for chunk in joined.chunks for one in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    usages = [chunk["usage"] for chunk in joined.chunks if chunk.get("usage")]
    assert usages == [{"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11, "x": None}]
    assert joined.sent.count(SEAM) == joined.sent.count(DONE) == 1
    assert joined.sent.index(b"lo") < joined.sent.index(SEAM) < joined.sent.index(b" you")
    assert joined.sent.endswith(DONE)


def test_a_role_beside_content_is_taken_off() -> None:
    """Some servers send both in their first chunk."""
    joined = Joined()
    joined.begin(*said("a", **FIRST)[:2])
    joined.go_on(chunk({"role": "assistant", "content": "b"}), STOP, DONE)
    assert joined.text == "ab"
    assert joined.sent.count(b'"role"') == 1


def test_a_client_that_did_not_ask_for_usage_gets_none() -> None:
    """As in a stream of one part."""
    joined = Joined(wants_usage=False)
    joined.begin(*said("a", **FIRST)[:2])
    joined.go_on(*said("b", **SECOND))
    assert joined.text == "ab"
    assert b"usage" not in joined.sent


def test_usage_that_the_rest_does_not_report_is_the_gateways_count() -> None:
    """A client that asked gets one."""
    joined = Joined()
    joined.begin(ROLE, HELLO)
    joined.go_on(ROLE, HELLO, STOP)
    assert joined.text == "HelloHello"
    usages = [chunk["usage"] for chunk in joined.chunks if chunk.get("usage")]
    assert len(usages) == 1
    assert usages[0]["completion_tokens"] == joined.unfinished.output + 2
    assert joined.sent.endswith(DONE)


def test_an_answer_goes_on_more_than_once() -> None:
    """Each seam is told."""
    joined = Joined()
    joined.begin(*said("a", " ", **FIRST)[:3])
    events = EventStream(Dialect.CHAT, wants_usage=True)
    assert joined.unfinished.possible
    continued = Continued(joined.unfinished, events, "tier/1")
    joined._send(continued.joined(events.feed(b"".join(said(" ", "b", **SECOND)[:3]))))
    joined.unfinished.broke(events.usage, events.counted_output())
    joined.go_on(*said("c", **SECOND))
    assert joined.text == "a bc"
    assert joined.sent.count(SEAM) == 2


@pytest.mark.parametrize(
    ("first", "rest", "whole"),
    [
        ("Hello ", [" you"], "Hello you"),
        ("Hello ", ["you"], "Hello you"),
        ("Hello \n", [" ", "\n", "you"], "Hello \nyou"),
        ("Hello \n", [" ", "you"], "Hello \nyou"),
        ("Hello ", ["  you"], "Hello  you"),
        ("Hello ", ["\nyou"], "Hello \nyou"),
        ("Hello", [" you"], "Hello you"),
    ],
)
def test_white_space_that_the_client_has_is_not_sent_again(first: str, rest: list[str], whole: str) -> None:
    """The rest was asked for without it, since templates take it off."""
    joined = Joined()
    joined.begin(*said(first, **FIRST)[:2])
    joined.go_on(*said(*rest, **SECOND))
    assert joined.text == whole


@pytest.mark.parametrize(
    "piece",
    [
        chunk({"tool_calls": [{"index": 0}]}),
        chunk({"reasoning_content": "Hm"}),
        chunk({"content": "a"}, {"content": "b"}),
        event({"choices": ["x"]}),
        b'data: {"choices":[{"delta":{"content":"\\ud800"}}]}\n\n',
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_is_not_the_rest_of_a_text_is_refused(piece: bytes) -> None:
    """The endpoint began something else: nothing of that is sent."""
    joined = Joined()
    joined.begin(ROLE, HELLO)
    assert joined.unfinished.possible
    continued = Continued(joined.unfinished, EventStream(Dialect.CHAT, wants_usage=True), "tier/1")
    with pytest.raises(UpstreamFailed, match="that was to continue"):
        continued.joined(piece)


tokens = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1, max_size=8)


@given(tokens=tokens, end=st.sampled_from([b"\n", b"\r\n"]), data=st.data())
def test_cut_anywhere_and_continued_the_content_is_the_same(tokens: list[str], end: bytes, data: st.DataObject) -> None:
    """However the first part is cut, and into whatever pieces the rest."""
    whole = "".join(tokens)
    stream = b"".join(said(*tokens, **FIRST)[: len(tokens) + 1]).replace(b"\n", end)
    cut = data.draw(st.integers(0, len(stream)), label="cut")
    joined = Joined()
    joined.begin(stream[: cut // 2], stream[cut // 2 : cut])
    assert joined.unfinished.possible
    body = json.loads(joined.unfinished.rest().body)
    last = body["messages"][-1]
    prefix = last["content"] if last["role"] == "assistant" else ""
    assert whole.startswith(prefix)
    left = whole[len(prefix) :]
    size = data.draw(st.integers(1, 5), label="size of the rest's tokens")
    rest = said(*[left[at : at + size] for at in range(0, len(left), size)], **SECOND)
    joined.go_on(*rest)
    assert joined.text == whole
    assert joined.sent.count(b"[DONE]") == joined.sent.count(SEAM) == 1


def test_tokens_from_the_cache_are_no_more_than_the_prompt() -> None:
    """The rest's endpoint may have had the text so far in its cache, too."""
    joined = Joined()
    joined.begin(*said("a", "b", **FIRST)[:3])
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8, "x": 1}}
    joined.go_on(chunk({"content": "c"}, finish="stop"), event({"choices": [], "usage": usage}), DONE)
    [told] = [chunk["usage"] for chunk in joined.chunks if chunk.get("usage")]
    assert told["prompt_tokens_details"] == {"cached_tokens": 7, "x": 1}
    assert (told["prompt_tokens"], told["completion_tokens"]) == (7, 3)


def test_usage_of_the_endpoint_passes_where_it_is_all_there_is() -> None:
    """A break before the first token: the rest is the whole, and its usage too."""
    joined = Joined()
    joined.begin(ROLE)
    joined.go_on(ROLE, HELLO, STOP, USAGE_CHUNK, DONE)
    usages = [chunk["usage"] for chunk in joined.chunks if chunk.get("usage")]
    assert usages == [{"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}]
