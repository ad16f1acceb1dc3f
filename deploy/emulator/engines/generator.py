"""An engine without a model: speaks OpenAI's protocol as vLLM does, at a GPU's speed, the same for the same seed.

Its time is the emulator's: a prompt takes its prefill, each token the longer the more requests are in the batch.
"""

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from deploy.emulator.engines.prompt import Prompt, PromptRefused, Shape, read_prompt
from deploy.emulator.engines.reply import Call, Reply, whole
from deploy.emulator.engines.schema_value import schema_value
from deploy.emulator.engines.speed import Speed
from deploy.emulator.engines.words import split_tokens, text_tokens
from deploy.emulator.model.config import EndpointConfig

LENGTH = (12, 48)
"""How many tokens an answer has that nothing bounds."""
JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
_CREATED = 1_790_000_000
"""When every answer says that it was made: the same request gets the same bytes."""
_SHAPES: dict[str, Shape] = {"/v1/chat/completions": "chat", "/v1/completions": "text"}


class Time(Protocol):
    """What engines need of a clock."""

    def now(self) -> float:
        """What time it is."""

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered, before it is put into a shape."""

    id: str
    tokens: list[str]
    finish_reason: str
    tool_name: str = ""


class Generator:
    """One worker's engine."""

    def __init__(self, config: EndpointConfig, speed: Speed, clock: Time, *, seed: int) -> None:
        self._config = config
        self._speed = speed
        self._clock = clock
        self._seed = seed
        self._batch = 0

    async def start(self) -> None:
        """It needs no start: the time that loading takes is the worker's."""

    async def stop(self) -> None:
        """It has nothing to stop."""

    async def ended(self) -> str:
        """It never ends by itself."""
        while True:
            await self._clock.sleep(3600.0)

    async def request(self, call: Call) -> Reply:
        """Answer one request; a stream's tokens come as its pieces are read."""
        path = call.path.partition("?")[0]
        if path in {"/health", self._config.health_path}:
            return Reply(status=200, content_type=JSON, pieces=whole(b"{}"))
        if path == "/v1/models":
            return Reply(status=200, content_type=JSON, pieces=whole(self._models()))
        if path not in _SHAPES:
            return Reply(status=404, content_type=JSON, pieces=whole(b'{"detail":"Not Found"}'))
        try:
            prompt = read_prompt(_SHAPES[path], call.body, self._config)
        except PromptRefused as refused:
            return Reply(status=refused.status, content_type=JSON, pieces=whole(refused.body()))
        if prompt.stream:
            return Reply(status=200, content_type=SSE, pieces=self._stream(prompt))
        return Reply(status=200, content_type=JSON, pieces=self._complete(prompt))

    def _models(self) -> bytes:
        model = {"id": self._config.served_model, "object": "model", "created": _CREATED, "owned_by": "vllm"}
        return json.dumps({"object": "list", "data": [model | {"max_model_len": self._config.max_model_len}]}).encode()

    def _answer(self, prompt: Prompt) -> Answer:
        """The answer to a prompt: a matter of seed, model and prompt alone, so a stream says what an answer says."""
        digest = hashlib.sha256(f"{self._seed}/{prompt.model}/{prompt.text}".encode()).hexdigest()
        dice = Random(digest)  # noqa: S311 - made-up text, not a secret
        call_id = f"{'chatcmpl' if prompt.shape == 'chat' else 'cmpl'}-{digest[:32]}"
        if prompt.tool is not None:
            arguments = schema_value(prompt.tool.get("parameters") or {"type": "object"}, dice)
            tokens = split_tokens(json.dumps(arguments, ensure_ascii=False))
            name = str(prompt.tool.get("name", ""))
            return Answer(id=call_id, tokens=tokens, finish_reason="tool_calls", tool_name=name)
        if prompt.schema is not None:
            tokens = split_tokens(json.dumps(schema_value(prompt.schema, dice), ensure_ascii=False))
        else:
            tokens = text_tokens(dice, dice.randint(*LENGTH))
        tokens = _rest(tokens, prompt.begun)
        if prompt.max_tokens is not None and len(tokens) > prompt.max_tokens:
            return Answer(id=call_id, tokens=tokens[: prompt.max_tokens], finish_reason="length")
        return Answer(id=call_id, tokens=tokens, finish_reason="stop")

    async def _tokens(self, prompt: Prompt, answer: Answer) -> AsyncGenerator[str, None]:
        """The answer's tokens, each when it is made."""
        self._batch += 1
        try:
            await self._clock.sleep(prompt.prompt_tokens / self._speed.prefill)
            for token in answer.tokens:
                await self._clock.sleep(self._speed.decode_seconds(self._batch))
                yield token
        finally:
            self._batch -= 1

    async def _complete(self, prompt: Prompt) -> AsyncGenerator[bytes, None]:
        answer = self._answer(prompt)
        async with aclosing(self._tokens(prompt, answer)) as tokens:
            text = "".join([token async for token in tokens])
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": answer.finish_reason}
        if prompt.shape == "text":
            choice["text"] = text
        elif answer.tool_name:
            calls = [_tool_call(answer, text)]
            choice["message"] = {"role": "assistant", "content": None, "tool_calls": calls}
        else:
            choice["message"] = {"role": "assistant", "content": text, "tool_calls": []}
        kind = "chat.completion" if prompt.shape == "chat" else "text_completion"
        made = _head(answer, prompt, kind) | {"choices": [choice], "usage": _usage(prompt, answer)}
        yield json.dumps(made, ensure_ascii=False).encode()

    async def _stream(self, prompt: Prompt) -> AsyncGenerator[bytes, None]:
        answer = self._answer(prompt)
        chat = prompt.shape == "chat"
        head = _head(answer, prompt, "chat.completion.chunk" if chat else "text_completion")
        if chat:
            yield _event(head | {"choices": [_delta({"role": "assistant", "content": ""})]})
        begun = False
        async with aclosing(self._tokens(prompt, answer)) as tokens:
            async for token in tokens:
                yield _event(head | {"choices": [_part(prompt, answer, token, begun=begun)]})
                begun = True
        last = _delta({}) if chat else {"index": 0, "text": "", "logprobs": None}
        yield _event(head | {"choices": [last | {"finish_reason": answer.finish_reason}]})
        if prompt.include_usage:
            yield _event(head | {"choices": [], "usage": _usage(prompt, answer)})
        yield b"data: [DONE]\n\n"


def _part(prompt: Prompt, answer: Answer, token: str, *, begun: bool) -> dict[str, Any]:
    """One token as a choice of a stream's event."""
    if prompt.shape == "text":
        return {"index": 0, "text": token, "logprobs": None, "finish_reason": None}
    if not answer.tool_name:
        return _delta({"content": token})
    if begun:
        return _delta({"tool_calls": [{"index": 0, "function": {"arguments": token}}]})
    return _delta({"tool_calls": [{"index": 0} | _tool_call(answer, token)]})


def _rest(tokens: list[str], begun: str) -> list[str]:
    """What is left to say of an answer that has begun, or all of it where the beginning is not this answer's."""
    if not begun or not "".join(tokens).startswith(begun):
        return tokens
    rest, left = [], len(begun)
    for token in tokens:
        if token[left:]:
            rest.append(token[left:])
        left = max(0, left - len(token))
    return rest


def _head(answer: Answer, prompt: Prompt, kind: str) -> dict[str, Any]:
    return {"id": answer.id, "object": kind, "created": _CREATED, "model": prompt.model}


def _usage(prompt: Prompt, answer: Answer) -> dict[str, int]:
    made = len(answer.tokens)
    return {
        "prompt_tokens": prompt.prompt_tokens,
        "completion_tokens": made,
        "total_tokens": prompt.prompt_tokens + made,
    }


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def _call_id(answer: Answer) -> str:
    return f"chatcmpl-tool-{answer.id[-24:]}"


def _tool_call(answer: Answer, arguments: str) -> dict[str, Any]:
    return {
        "id": _call_id(answer),
        "type": "function",
        "function": {"name": answer.tool_name, "arguments": arguments},
    }


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"
