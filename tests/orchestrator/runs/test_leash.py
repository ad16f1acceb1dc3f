"""A run that may not go on asks no model any more, and others do."""

import asyncio

import pytest
from crewai.hooks import InterceptionPoint, get_hooks
from crewai.hooks.dispatch import HookAborted

from orchestrator.llm import tier
from orchestrator.runs.leash import Leash, on_leash, register_leash_hook
from tests.doubles.chat_server import ChatServer

pytestmark = pytest.mark.usefixtures("settings")


def test_the_first_reason_stays() -> None:
    leash = Leash()
    for why in ("one", "two"):
        leash.pull(why)
    assert leash.pulled == "one"


def test_the_hook_is_there_once() -> None:
    register_leash_hook()
    hooks = list(get_hooks(InterceptionPoint.PRE_MODEL_CALL))
    register_leash_hook()
    assert list(get_hooks(InterceptionPoint.PRE_MODEL_CALL)) == hooks


async def test_a_pulled_leash_holds_back_calls_also_from_threads_and_only_its_own(server: ChatServer) -> None:
    register_leash_hook()
    llm, pulled = tier("routing"), Leash()
    pulled.pull("it was cancelled")
    with on_leash(pulled), pytest.raises(HookAborted, match="it was cancelled"):
        await asyncio.to_thread(llm.call, "hello")
    with on_leash(Leash()):
        assert await asyncio.to_thread(llm.call, "hello") == "Fine."
    assert len(server.asked) == 1
