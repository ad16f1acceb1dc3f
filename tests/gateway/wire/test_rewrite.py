"""Only the values that must change do; every other byte stays."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.wire.call import read_call
from gateway.wire.operations import OPERATIONS, Operation
from gateway.wire.rewrite import upstream_body
from tests.gateway.wire.samples import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

ASKED = b'"stream_options":{"include_usage":true}'
READ_BY_THE_GATEWAY = {
    *("model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "n"),
    *("best_of", "prompt", "tools", "response_format", "text"),
}

space = st.text(alphabet=" \t\r\n", max_size=3)


@st.composite
def literals(draw: st.DrawFn, text: str) -> str:
    """``text`` as a JSON string, any of its characters escaped in any way that JSON knows."""
    written = ""
    for character in text:
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        ways = [plain] + ([f"\\u{ord(character):04x}", f"\\u{ord(character):04X}"] if ord(character) < 0x10000 else [])
        written += draw(st.sampled_from(ways))
    return f'"{written}"'


names = st.one_of(
    st.sampled_from(["model", "stream_options", "", "mod", '"model"', "\\", '\\"model', "a\n", "modèle", "🤖"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """Any JSON value as text, with names inside that mean something only at the top."""
    kind = draw(st.integers(0, 4 if depth else 2))
    if kind == 0:
        return draw(st.sampled_from(["null", "true", "false", "0", "-1.5e3", "12"]))
    if kind <= 2:
        return draw(literals(draw(names)))
    items = draw(st.lists(st.tuples(names, values(depth - 1)), max_size=3))
    if kind == 3:
        inner = ",".join(f"{draw(space)}{value}{draw(space)}" for _, value in items)
        return f"[{inner or draw(space)}]"
    inner = ",".join(f"{draw(space)}{draw(literals(name))}{draw(space)}:{draw(space)}{value}" for name, value in items)
    return f"{{{inner}{draw(space)}}}"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, bool]:
    """A request's body, what must become of it for the model ``target``, and whether it is a stream."""
    strange = names.filter(lambda name: name not in READ_BY_THE_GATEWAY)
    members = [(name, draw(values())) for name in draw(st.lists(strange, max_size=3))]
    streams = draw(st.booleans())
    if streams:
        members.append(("stream", "true"))
    options = draw(st.sampled_from([None, "null", "{}", '{"include_usage" : false}', '{ "include_usage":true }']))
    if options is not None:
        members.append(("stream_options", options))
    members.append(("model", draw(literals("caller's model"))))
    members = draw(st.permutations(members))
    body = expected = draw(space) + "{" + draw(space)
    for index, (name, value) in enumerate(members):
        key = ("," + draw(space) if index else "") + draw(literals(name)) + draw(space) + ":" + draw(space)
        after = draw(space)
        new = '"target"' if name == "model" else value
        if name == "stream_options" and streams and "true" not in value:
            new = '{"include_usage":true}'
        body, expected = body + key + value + after, expected + key + new + after
    if streams and options is None:
        expected += "," + ASKED.decode()
    end = "}" + draw(space)
    return (body + end).encode(), (expected + end).encode(), streams


@given(bodies())
def test_every_byte_outside_the_replaced_values_stays(case: tuple[bytes, bytes, bool]) -> None:
    """Whatever is nested, escaped or spaced how: the top-level values are found, and nothing else is touched."""
    body, expected, streams = case
    call = read_call(body, CHAT)
    assert (call.model, call.stream) == ("caller's model", streams)
    sent = upstream_body(call, CHAT, "target")
    assert sent == expected
    assert json.loads(sent)["model"] == "target"


@given(bodies(), st.data())
def test_a_body_whose_model_is_right_keeps_its_model(case: tuple[bytes, bytes, bool], data: st.DataObject) -> None:
    """Then the name is not even written in another way."""
    body, _, _ = case
    sent = upstream_body(read_call(body, CHAT), CHAT, "caller's model")
    before, after = json.loads(body), json.loads(sent)
    if before.get("stream"):
        assert after.pop("stream_options")["include_usage"] is True
        before.pop("stream_options", None)
    assert after == before
    if not before.get("stream"):
        assert sent == body
    del data


@given(
    first=literals("model"),
    second=literals("model"),
    between=st.lists(st.tuples(names.filter(lambda name: name not in READ_BY_THE_GATEWAY), values()), max_size=2),
    target=st.sampled_from(["a", "b", "c"]),
    streams=st.booleans(),
)
@example(first='"model"', second='"model"', between=[], target="c", streams=False)
@example(first='"model"', second='"mod\\u0065l"', between=[], target="c", streams=True)
@example(first='"mod\\u0065l"', second='"model"', between=[], target="b", streams=True)
def test_a_model_that_stands_twice_is_refused(
    first: str, second: str, between: list[tuple[str, str]], target: str, streams: bool
) -> None:
    """Parsers disagree about which one counts, so a call could be charged to one model and served by another."""
    inner = "".join(f"{json.dumps(name)}:{value}," for name, value in between)
    stream = '"stream":true,' if streams else ""
    body = f'{{{first}:"a",{stream}{inner}{second}:"b"}}'.encode()
    with pytest.raises(InvalidRequest, match="twice") as caught:
        upstream_body(read_call(body, CHAT), CHAT, target)
    assert caught.value.param == "model"


def test_stream_options_that_stand_twice_are_refused_where_they_matter() -> None:
    """As the model."""
    body = b'{"model":"a","stream":true,"stream_options":{},"stream_options":null}'
    with pytest.raises(InvalidRequest, match="twice"):
        upstream_body(read_call(body, CHAT), CHAT, "b")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ('{"model":"a"}', '{"model":"b"}'),
        ('{"model":"b"}', '{"model":"b"}'),
        ('{"model":"b","stream":true}', '{"model":"b","stream":true,' + ASKED.decode() + "}"),
        (
            '{"model":"b","stream":true,"stream_options":{"include_usage":false,"x":1}}',
            '{"model":"b","stream":true,"stream_options":{"include_usage":true,"x":1}}',
        ),
        (
            '{"model":"b","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}',
            '{"model":"b","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":false}}',
        ),
        (
            '{"model":"b","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":false}}',
            '{"model":"b","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":false}}',
        ),
        ('{"messages":[{"model":"a"}],"model":"a"}', '{"messages":[{"model":"a"}],"model":"b"}'),
    ],
)
def test_the_usual_bodies(body: str, sent: str) -> None:
    """Usage is asked for once, at the end, and never in every chunk: clients drop the content of such a chunk."""
    assert upstream_body(read_call(body.encode(), CHAT), CHAT, "b") == sent.encode()


@pytest.mark.parametrize("operation", [RESPONSES, MESSAGES, EMBEDDINGS], ids=lambda one: one.name)
def test_streams_that_report_usage_by_themselves_are_not_asked(operation: Operation) -> None:
    """``stream_options`` is no field of theirs."""
    body = b'{"model":"b","stream":true}'
    assert upstream_body(read_call(body, operation), operation, "b") == body


def test_text_completions_are_asked_for_usage_like_chats() -> None:
    """Both are OpenAI's older dialects."""
    body = b'{"model":"b","stream":true}'
    assert json.loads(upstream_body(read_call(body, COMPLETIONS), COMPLETIONS, "b"))["stream_options"] == {
        "include_usage": True
    }


def test_a_name_of_the_tier_map_is_written_as_json() -> None:
    """Whatever characters it has."""
    sent: dict[str, Any] = json.loads(upstream_body(read_call(b'{"model":"a"}', CHAT), CHAT, 'org/"x"\\é'))
    assert sent == {"model": 'org/"x"\\é'}


@pytest.mark.parametrize(
    ("operation", "body", "sent"),
    [
        ("/v1/chat/completions", b'{"model":"a","x":1}', b'{"model":"b","x":1,"max_tokens":64}'),
        ("/v1/chat/completions", b'{"model":"a","max_tokens": null}', b'{"model":"b","max_tokens": 64}'),
        (
            "/v1/chat/completions",
            b'{"model":"a","x":{"max_tokens":9}}',
            b'{"model":"b","x":{"max_tokens":9},"max_tokens":64}',
        ),
        ("/v1/responses", b'{"model":"a"}', b'{"model":"b","max_output_tokens":64}'),
        ("/v1/completions", b'{"model":"a"}', b'{"model":"b"}'),
    ],
)  # fmt: skip
def test_a_bound_on_the_answer_is_set_in_the_operations_own_field(operation: str, body: bytes, sent: bytes) -> None:
    """Text completions have a small bound of their own at the endpoint, so none is set there."""
    served = OPERATIONS[operation]
    assert upstream_body(read_call(body, served), served, "b", answer_bound=64) == sent
