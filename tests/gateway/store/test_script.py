import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.errors import StoreUnavailable
from gateway.store.resp import Reply, words
from gateway.store.script import Script
from tests.doubles.recording_commands import RecordingCommands

SCRIPT = Script("return 1", key=b"k", keeps="things")
LOST, UNKNOWN = RedisConnectionError("lost"), NoScriptError("NOSCRIPT")


def test_a_script_is_its_files_and_has_the_name_that_the_store_gives_it() -> None:
    """Its SHA-1."""
    one = Script.of("gateway.budget", "layout", "reservation", "settle", key=b"k", keeps="things")
    assert "local stem" in one.text
    assert one.text.index("local function live") < one.text.index("finish(id, row, 'settled'")
    assert len(one.sha) == 40
    assert one.sha != Script.of("gateway.budget", "layout", "settle", key=b"k", keeps="things").sha
    assert SCRIPT.sha == b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"


@pytest.mark.parametrize(
    ("replies", "verbs"),
    [
        ([7], "EVALSHA"),
        ([UNKNOWN, 7], "EVALSHA EVAL"),
        ([LOST, 7], "EVALSHA EVALSHA"),
        ([LOST, UNKNOWN, 7], "EVALSHA EVALSHA EVAL"),
    ],
)
async def test_a_script_runs_through_a_lost_connection_and_a_store_that_forgot_it(
    replies: list[Reply], verbs: str
) -> None:
    """As after the store's restart: nobody notices."""
    commands = RecordingCommands(*replies)
    assert await SCRIPT.run(commands, 2, words("a", 2)) == 7
    assert [sent[0] for sent in commands.sent] == verbs.encode().split()
    for verb, what, *rest in commands.sent:
        assert what == (SCRIPT.sha if verb == b"EVALSHA" else SCRIPT.text.encode())
        assert rest == [b"1", b"k", b"a", b"2"]


@pytest.mark.parametrize(
    "replies", [[RedisTimeoutError("silent")], [ResponseError("OOM")], [LOST, LOST], [UNKNOWN, LOST]]
)
async def test_silence_refusals_and_a_store_that_is_away_are_raised(replies: list[Exception]) -> None:
    """After two tries at most."""
    with pytest.raises(StoreUnavailable, match="keeps things") as caught:
        await SCRIPT.run(RecordingCommands(*replies), 0, b"")
    assert caught.value.__cause__ is replies[-1]
