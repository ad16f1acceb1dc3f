"""What is held for a prompt covers what real chat templates make of it, by a tokenizer that is as bad as one can be.

It spends a token on every byte, but one on a whole run of spaces or line breaks, as byte-pair vocabularies with any
training do. The templates are those of the models' ``tokenizer_config.json``, in what they write and in its order.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.call import read_call
from tests.gateway.samples import token_tier
from tests.gateway.wire.samples import CHAT
from tiers.estimate import prompt_bound
from tiers.tiermap import Tier

Chat = dict[str, Any]
SPECIAL = "\x00"
"""Stands for one of the template's special tokens."""

LLAMA_TOOLS = (
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that best"
    " answers the given prompt.\n\nRespond in the format"
    ' {"name": function name, "parameters": dictionary of argument name and its value}.Do not use variables.\n\n'
)
QWEN_TOOLS = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function"
    " signatures within <tools></tools> XML tags:\n<tools>"
)
QWEN_CALLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within"
    ' <tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)


def llama_31(chat: Chat) -> str:
    """Meta-Llama-3.1-Instruct: a dated header, and tools with four spaces of indentation in the first user message."""
    tools, messages = chat.get("tools"), list(chat["messages"])
    system = messages.pop(0)["content"] if messages[:1] and messages[0]["role"] == "system" else ""
    text = SPECIAL + header("system") + ("Environment: ipython\n" if tools else "")
    text += f"Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n{system}{SPECIAL}"
    if tools:
        text += header("user") + LLAMA_TOOLS + "".join(f"{json.dumps(tool, indent=4)}\n\n" for tool in tools)
        text += SPECIAL
    for message in messages:
        if message.get("tool_calls"):
            function = message["tool_calls"][0]["function"]
            arguments = json.dumps(json.loads(function["arguments"]), ensure_ascii=False)
            text += f'{header("assistant")}{{"name": "{function["name"]}", "parameters": {arguments}}}{SPECIAL}'
        else:
            role = "ipython" if message["role"] == "tool" else message["role"]
            text += header(role) + message["content"] + SPECIAL
    return text + header("assistant")


def header(role: str) -> str:
    """Of a message, as Llama 3 has it."""
    return f"{SPECIAL}{role}{SPECIAL}\n\n"


def qwen_25(chat: Chat) -> str:
    """Qwen2.5-Instruct: its own system prompt where there is none, and tools behind it."""
    tools, messages = chat.get("tools"), chat["messages"]
    system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    if messages[:1] and messages[0]["role"] == "system":
        system, messages = messages[0]["content"], messages[1:]
    text = f"{SPECIAL}system\n{system}"
    if tools:
        text += QWEN_TOOLS + "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in tools) + QWEN_CALLS
    text += f"{SPECIAL}\n"
    for message in messages:
        text += f"{SPECIAL}{'user' if message['role'] == 'tool' else message['role']}\n"
        for one in message.get("tool_calls", []):
            arguments = json.dumps(json.loads(one["function"]["arguments"]), ensure_ascii=False)
            text += f'\n<tool_call>\n{{"name": "{one["function"]["name"]}", "arguments": {arguments}}}\n</tool_call>'
        if message["role"] == "tool":
            text += f"<tool_response>\n{message['content']}\n</tool_response>"
        else:
            text += message["content"] or ""
        text += f"{SPECIAL}\n"
    return f"{text}{SPECIAL}assistant\n"


def mistral_7b_v3(chat: Chat) -> str:
    """Mistral-7B-Instruct-v0.3: tools before the last user message."""
    text = SPECIAL
    last = max((i for i, one in enumerate(chat["messages"]) if one["role"] == "user"), default=-1)
    for i, message in enumerate(chat["messages"]):
        if i == last and chat.get("tools"):
            text += f"{SPECIAL} {json.dumps(chat['tools'], ensure_ascii=False)}{SPECIAL}"
        if message.get("tool_calls"):
            text += f"{SPECIAL} [" + ", ".join(called(one) for one in message["tool_calls"]) + f"]{SPECIAL}"
        elif message["role"] == "tool":
            text += f'{SPECIAL} {{"content": {json.dumps(message["content"], ensure_ascii=False)}, "call_id": "c"}}'
            text += SPECIAL
        else:
            text += f"{SPECIAL} {message['content']}{SPECIAL}\n\n"
    return text


def called(one: dict[str, Any]) -> str:
    """One tool call, as Mistral has it."""
    function = one["function"]
    arguments = json.dumps(json.loads(function["arguments"]), ensure_ascii=False)
    return f'{{"name": "{function["name"]}", "arguments": {arguments}, "id": "{one["id"]}"}}'


def worst_tokens(text: str) -> int:
    """By a tokenizer that knows no words."""
    return len(re.sub(rb" +|\n+", b" ", text.encode()))


texts = st.text(st.characters(codec="utf-8", exclude_characters=SPECIAL), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab é\n", max_size=4),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=20,
)
tools = st.builds(
    lambda name, parameters: {"type": "function", "function": {"name": name, "parameters": parameters}},
    st.text("ab", min_size=1, max_size=4),
    values,
)
calls = st.builds(
    lambda arguments: {
        "id": "c12345678",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)},
    },
    values,
)
messages = st.one_of(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), texts),
    st.builds(lambda text: {"role": "tool", "tool_call_id": "c12345678", "content": text}, texts),
    st.builds(lambda one: {"role": "assistant", "content": "", "tool_calls": [one]}, calls),
)
systems: st.SearchStrategy[list[Chat]] = st.just(list[Chat]()) | texts.map(
    lambda text: [{"role": "system", "content": text}]
)
chats = st.builds(
    lambda system, rest, offered: {"messages": system + rest, **({"tools": offered} if offered else {})},
    systems,
    st.lists(messages, max_size=5),
    st.lists(tools, max_size=3),
)
ROOMY: Tier = token_tier(context=10**9, template_tokens=256)


@pytest.mark.parametrize("template", [llama_31, qwen_25, mistral_7b_v3], ids=lambda one: str(one.__name__))
@given(chat=chats)
def test_no_template_makes_more_tokens_of_a_chat_than_are_held_for_it(
    template: Callable[[Chat], str], chat: Chat
) -> None:
    """With the least JSON that says the chat, and the default ``template_tokens``."""
    body = json.dumps({"model": "m", **chat}, separators=(",", ":"), ensure_ascii=False).encode()
    held = prompt_bound(ROOMY, read_call(body, CHAT).prompt, body_bytes=len(body))
    assert worst_tokens(template(chat)) <= held


def nested(depth: int) -> list[Any]:
    """Lists in lists: nothing but line breaks and indentations, where it is written anew."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("parameters", [[1] * 2000, [nested(50)] * 20], ids=["flat", "nested"])
def test_tools_that_are_mostly_structure_are_covered(parameters: list[Any]) -> None:
    """An indentation for nearly every byte."""
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    chat = {"messages": [{"role": "user", "content": "x"}], "tools": [tool]}
    body = json.dumps({"model": "m", **chat}, separators=(",", ":")).encode()
    held = prompt_bound(ROOMY, read_call(body, CHAT).prompt, body_bytes=len(body))
    assert 2 * len(body) - 400 < worst_tokens(llama_31(chat)) <= held


def test_the_shortest_chat_is_covered_too() -> None:
    """By the words of its template there are more tokens than the body has bytes, were each byte one."""
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    chat = json.loads(body)
    held = prompt_bound(ROOMY, read_call(body, CHAT).prompt, body_bytes=len(body))
    assert len(body) < worst_tokens(llama_31(chat)) <= held
