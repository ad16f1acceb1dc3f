"""What the double's model says: pieces of text or of a tool call's arguments, one piece per token."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.doubles.openai_behaviour import Behaviour

GREETING = "Grüße 🙂 from the upstream, in answer to: "
CACHED_TOKENS = 4
_JSON_PIECE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One choice of an answer. ``tool`` is the called function's name; then the pieces are its arguments."""

    pieces: tuple[str, ...]
    finish_reason: str
    prompt_tokens: int
    tool: str | None = None

    @property
    def text(self) -> str:
        """All pieces in one."""
        return "".join(self.pieces)


def reply_to(request: Mapping[str, Any], behaviour: Behaviour) -> Reply:
    """What is said to a request of any dialect (chat, completions, responses, messages).

    To ``continue_final_message`` only what its last message lacks is said: as much as a healthy answer has beyond it.
    """
    asked, (request, begun) = request, _unfinished(request)
    tool = _tool(request)
    if tool is not None:
        pieces = _json_pieces(instance(tool["parameters"], tool["parameters"]))
    elif behaviour.text is None and (schema := _schema(request)) is not None:
        pieces = _json_pieces(instance(schema, schema))
    else:
        text = GREETING + last_words(request) if behaviour.text is None else behaviour.text
        pieces = tuple(re.findall(r"\s*\S+", text))
    if behaviour.tokens is not None:
        source = itertools.cycle(pieces or ("word ",))
        pieces = tuple(itertools.islice(source, behaviour.tokens))
    pieces = _after(begun, pieces)
    finish = "stop" if tool is None else "tool_calls"
    limit = _limit(request)
    if limit is not None and len(pieces) >= limit:
        pieces, finish = pieces[:limit], "length"
    return Reply(
        pieces=pieces,
        finish_reason=finish,
        prompt_tokens=prompt_tokens(asked) if behaviour.prompt_tokens is None else behaviour.prompt_tokens,
        tool=None if tool is None else str(tool["name"]),
    )


def _unfinished(request: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The request without the assistant message that it wants continued, and that message's text."""
    messages = request.get("messages")
    if not request.get("continue_final_message") or not messages or messages[-1].get("role") != "assistant":
        return request, ""
    return {**request, "messages": messages[:-1]}, str(messages[-1].get("content") or "")


def _after(begun: str, pieces: tuple[str, ...]) -> tuple[str, ...]:
    """The pieces that come after the text so far; a piece that it ends within is said from there."""
    rest: list[str] = []
    left = len(begun)
    for piece in pieces:
        if left < len(piece):
            rest.append(piece[left:])
        left = max(0, left - len(piece))
    return tuple(rest)


def prompt_tokens(request: Mapping[str, Any]) -> int:
    """Words and signs of the prompt, in place of a tokenizer."""
    prompt = [request.get(name) for name in ("messages", "prompt", "input", "query", "documents")]
    return len(re.findall(r"\w+|[^\w\s]", json.dumps([part for part in prompt if part is not None])))


def last_words(request: Mapping[str, Any]) -> str:
    """The last message's text (a tool's result included), or the prompt."""
    last: Any = request.get("messages") or request.get("input") or request.get("prompt") or ""
    if isinstance(last, Sequence) and not isinstance(last, str):
        last = last[-1] if last else ""
    if isinstance(last, Mapping):
        last = last.get("content") or ""
    if isinstance(last, list):
        last = " ".join(str(part.get("text", "")) for part in last if isinstance(part, Mapping))
    return str(last)


def instance(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- any JSON value
    """The smallest plain value that a simple JSON Schema allows; ``root`` resolves its references."""
    schema = _resolved(schema, root)
    if choices := [schema["const"]] if "const" in schema else schema.get("enum"):
        return choices[0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: instance(part, root) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {}), root) for _ in range(max(1, schema.get("minItems", 1)))]
    smallest = {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(kind, "text")
    return schema.get("minimum", smallest) if kind in {"integer", "number"} else smallest


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and the first branch where there are several."""
    if "$ref" in schema:
        target: Any = root
        for name in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[name]
        return _resolved(target, root)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return _resolved(schema[word][0], root)
    return schema


def _tool(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function to call: named by ``tool_choice`` or the first, unless a tool just answered."""
    tools, choice = request.get("tools"), request.get("tool_choice")
    messages = request.get("messages")
    if not tools or choice == "none" or not isinstance(messages, list):
        return None
    if messages and isinstance(messages[-1], Mapping) and messages[-1].get("role") == "tool":
        return None
    functions = [tool["function"] for tool in tools if tool.get("type") == "function"]
    if isinstance(choice, Mapping):
        functions = [one for one in functions if one["name"] == choice.get("function", {}).get("name")]
    return {"parameters": {}, **functions[0]} if functions else None


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer must fit, if the caller gave one."""
    asked = request.get("response_format") or (request.get("text") or {}).get("format") or {}
    if asked.get("type") != "json_schema":
        return None
    found: Mapping[str, Any] = asked["json_schema"]["schema"] if "json_schema" in asked else asked["schema"]
    return found


def _limit(request: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        if request.get(name) is not None:
            return int(request[name])
    return None


def _json_pieces(value: object) -> tuple[str, ...]:
    text = json.dumps(value, ensure_ascii=False)
    return tuple(text[at : at + _JSON_PIECE] for at in range(0, len(text), _JSON_PIECE))
