"""An answer that broke off, and the request for the rest of it.

What a chat's stream has brought so far becomes the last, unfinished message of the same conversation; another endpoint
that serves the same model is asked to go on with that message (vLLM: ``continue_final_message``; llama.cpp goes on with
a trailing assistant message by itself). ``gateway.wire.continued`` makes one stream of both parts.

    relay     begins a stream     → exchange.unfinished = Unfinished(call), where the tier continues streams
              each piece          → took(piece)
              a break             → broke(usage, counted output)
    pipeline  after the break     if unfinished.possible: exchange.call = unfinished.rest(), and one more attempt
    relay     the rest's answer   → Continued(unfinished, …), in the client's same stream

While all goes well only the sent bytes are kept; they are read when the stream breaks.
"""

from typing import Any, Final

import msgspec

from gateway.wire.call import Call
from gateway.wire.event_lines import BLANK_LINE, DONE, data_of
from gateway.wire.members import top_level_values
from tiers.estimate import likely_prompt_tokens
from tiers.usage import Usage

SENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Up to how many bytes of events a stream can be continued; some 16 000 tokens as vLLM writes them."""

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_messages: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_BOUNDS: Final = ("max_tokens", "max_completion_tokens")
_UNSET: Final = (b"null", b"false", b"0", b'""', b"[]", b"{}")
_HINDERING: Final = frozenset({
    "audio", "continue_final_message", "ebnf", "echo", "function_call", "functions", "grammar", "guided_choice",
    "guided_decoding_backend", "guided_grammar", "guided_json", "guided_regex", "json_schema", "logprobs",
    "prompt_logprobs", "regex", "return_token_ids", "return_tokens_as_token_ids", "structural_tag",
    "structured_outputs", "top_logprobs", "use_beam_search",
})  # fmt: skip
"""Fields of a request whose answer cannot be put together of two: what is generated follows a form from its first token
on, or is counted from there, or the conversation's end is already what the caller made of it."""
_TEXT_ONLY: Final = frozenset({"role", "content"})


class Unfinished:
    """One chat answer in a stream that may have to be continued elsewhere.

    Attributes:
        text: What the client has of the answer; known where going on is ``possible``.
        identity: The fields that all chunks of the answer share, such as ``id``; known from then, too.
        parts: How many parts of the answer broke off.
        output: Tokens of the parts that broke.
    """

    __slots__ = (
        "_broken", "_call", "_prompt", "_rest", "_sent", "_size", "identity", "output", "parts", "text",
    )  # fmt: skip

    def __init__(self, call: Call) -> None:
        self._call = call
        self._sent: list[bytes] = []
        self._size = 0
        self._broken = False
        self._rest: Call | None = None
        self._prompt: int | None = None
        self.text = ""
        self.identity: dict[str, Any] = {}
        self.parts = 0
        self.output = 0

    def took(self, piece: bytes) -> None:
        """The client was sent ``piece``: whole events."""
        self._size += len(piece)
        if self._size <= SENT_BYTES_MAX:
            self._sent.append(piece)
        else:
            self._sent.clear()

    def broke(self, usage: Usage | None, counted_output: int) -> None:
        """A part of the answer broke off. ``usage`` is what its endpoint reported, mostly nothing."""
        self.parts += 1
        self.output += usage.output if usage is not None else counted_output
        if usage is not None and self.parts == 1:
            self._prompt = usage.input
        self._broken = True
        self._rest = None

    @property
    def possible(self) -> bool:
        """Whether the rest can be asked for.

        Not where the answer so far is more than plain text (tool calls, reasoning, refusals, log probabilities), or is
        longer than ``SENT_BYTES_MAX``, nor where the request asks for several answers, tools, a form, or anything else
        in ``_HINDERING``, or ends with an assistant's message of its own.
        """
        if self._broken:
            self._broken = False
            if self._size <= SENT_BYTES_MAX and self._read():
                self._rest = _rest(self._call, self.prefix, self.output)
        return self._rest is not None

    @property
    def prefix(self) -> str:
        """The text that the rest follows.

        Without white space at its end: templates take that off, and models mostly write it at the beginning of a token.
        """
        return self.text.rstrip()

    def rest(self) -> Call:
        """The request for what is missing. Only where that is ``possible``."""
        if not self.possible or self._rest is None:
            raise RuntimeError("A request for the rest of an answer that cannot be continued.")
        return self._rest

    def usage(self, rest: Usage | None, counted_output: int) -> Usage:
        """The usage of the whole answer: one prompt, and the output of all parts.

        ``rest`` is what the last part's endpoint reported. Its prompt holds the text so far, which is no prompt to
        the client.
        """
        if rest is None:
            prompt = self._prompt if self._prompt is not None else likely_prompt_tokens(len(self._call.body))
            return Usage(input=prompt, output=self.output + counted_output)
        prompt = self._prompt if self._prompt is not None else max(0, rest.input - self.output)
        return Usage(
            input=prompt,
            output=self.output + rest.output,
            cached=min(rest.cached, prompt),
            reasoning=rest.reasoning,
        )

    def _read(self) -> bool:
        """Read what was sent; whether all of it is the plain text of one answer that has not ended."""
        texts: list[str] = []
        try:
            for event in BLANK_LINE.split(b"".join(self._sent))[::2]:
                data = data_of(event)
                if data == DONE:
                    return False
                if data and not self._read_chunk(msgspec.json.decode(data), texts):
                    return False
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        self.text = "".join(texts)
        return True

    def _read_chunk(self, chunk: Any, texts: list[str]) -> bool:  # noqa: ANN401 - JSON
        if not isinstance(chunk, dict):
            return False
        choices = chunk.pop("choices", None) or []
        if not self.identity:
            chunk.pop("usage", None)
            self.identity = chunk
        for choice in choices:
            delta = (choice.get("delta") if isinstance(choice, dict) else None) or {}
            if not is_text(choice, delta) or choice.get("finish_reason"):
                return False
            texts.append(delta.get("content") or "")
        return True


def is_text(choice: Any, delta: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a chunk's choice brings nothing but text to the first and only answer, or nothing at all."""
    if not isinstance(choice, dict) or not isinstance(delta, dict) or choice.get("index") or choice.get("logprobs"):
        return False
    content = delta.get("content")
    if content is not None and not isinstance(content, str):
        return False
    return not any(value and name not in _TEXT_ONLY for name, value in delta.items())


def _rest(call: Call, prefix: str, output: int) -> Call | None:
    """``call`` for what follows ``prefix``, of which ``output`` tokens were made; ``None`` where that cannot be."""
    if call.choices != 1 or call.response_format != "text":
        return None
    members = _members(call.body)
    if any(name in _HINDERING and bytes(value) not in _UNSET for name, value in members.items()):
        return None
    if call.tools and bytes(members.get("tool_choice", msgspec.Raw())) != b'"none"':
        return None
    if bytes(members.get("add_generation_prompt", msgspec.Raw())) == b"false" or not _asks(members):
        return None
    bounds = {name: _bound(members, name) for name in _BOUNDS}
    reduced = {name: max(1, bound - output) for name, bound in bounds.items() if bound is not None}
    wanted = {name: str(bound).encode() for name, bound in reduced.items()}
    if prefix:
        wanted |= {"continue_final_message": b"true", "add_generation_prompt": b"false"}
    body = _body(call.body, prefix, wanted)
    if body is None:
        return None
    return Call(
        body=body,
        model=call.model,
        stream=True,
        stream_options=call.stream_options,
        wants_usage=call.wants_usage,
        max_output=max(reduced.values(), default=None),
        choices=1,
        tools=call.tools,
        response_format=call.response_format,
        prompt=call.prompt,
    )


def _asks(members: dict[str, msgspec.Raw]) -> bool:
    """Whether the conversation ends with somebody to whom the model answers."""
    messages = _messages(members.get("messages", msgspec.Raw(b"[]")))
    last = msgspec.json.decode(messages[-1]) if messages else None
    return isinstance(last, dict) and last.get("role") != "assistant"


def _bound(members: dict[str, msgspec.Raw], name: str) -> int | None:
    raw = bytes(members.get(name, msgspec.Raw()))
    return int(raw) if raw.isdigit() else None


def _body(body: bytes, prefix: str, wanted: dict[str, bytes]) -> bytes | None:
    """``body`` with ``prefix`` as its last message and other values; ``None`` where a field stands in it twice."""
    pieces = []
    end = 0
    seen: set[str] = set()
    for name, start, stop in top_level_values(body):
        if name in seen:
            return None
        seen.add(name)
        if name in wanted:
            pieces += [body[end:start], wanted[name]]
            end = stop
        elif name == "messages" and prefix:
            pieces += [body[end : stop - 1], b",", msgspec.json.encode({"role": "assistant", "content": prefix})]
            end = stop - 1
    brace = body.rindex(b"}")
    pieces.append(body[end:brace])
    pieces += [b',"%b":%b' % (name.encode(), value) for name, value in wanted.items() if name not in seen]
    pieces.append(body[brace:])
    return b"".join(pieces)
