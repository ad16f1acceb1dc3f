"""Stores of several servers for tests: a master with a replica and a Sentinel, and a cluster; each one a process."""

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.store.embedded import _installed_binary
from tests.stores import BOUND_SECONDS, eventually

SERVICE = "tiergate"
HOST = "127.0.0.1"


def binary(kind: str) -> str:
    """``redis`` is Debian's server, ``valkey`` the bundled one."""
    if kind == "valkey":
        return str(_installed_binary())
    found = shutil.which("redis-server")
    assert found
    return found


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs on a port of this machine."""

    port: int
    process: subprocess.Popen[bytes]

    @asynccontextmanager
    async def client(self, **settings: object) -> AsyncIterator[Redis]:
        """A client of its own for a test."""
        client = Redis(host=HOST, port=self.port, protocol=2, **settings)  # type: ignore[arg-type]
        try:
            yield client
        finally:
            await client.aclose()

    async def ask(self, *parts: str | int) -> object:
        """The reply to one command."""
        async with self.client() as client:
            return await _ask(client, *parts)

    def stop(self) -> None:
        """As if the machine hung: it takes connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After ``stop``."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As if it crashed."""
        self.process.kill()
        self.process.wait(BOUND_SECONDS)


@asynccontextmanager
async def server(kind: str, *options: str, file: str | None = None, tls: bool = False) -> AsyncIterator[Server]:
    """A server that keeps nothing on disk. ``file`` is the text of its settings; with ``tls`` it speaks only that."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="store-") as folder:
        command = [binary(kind)]
        if file is not None:
            path = Path(folder) / "settings.conf"
            path.write_text(file)
            command.append(str(path))
        ports = ["--port", "0", "--tls-port", str(port)] if tls else ["--port", str(port)]
        command += [*ports, "--bind", HOST, "--dir", folder, "--save", "", *options]
        if "--sentinel" in options:
            command = [command[0], str(path), "--sentinel", *ports, "--bind", HOST, "--dir", folder]
        started = Server(port, _run(command))
        try:
            await eventually(lambda: _answers(started, tls=tls))
            yield started
        finally:
            started.go_on()
            started.kill()


@dataclass(frozen=True, slots=True)
class Watched:
    """A master, its replica, and the Sentinel that watches them."""

    master: Server
    replica: Server
    sentinel: Server

    async def master_port(self) -> int:
        """Where the Sentinel says that the master is."""
        found = await self.sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        assert isinstance(found, (list, tuple))
        return int(found[1])

    async def in_step(self) -> None:
        """Wait until the replica has all that the master has now; ``WAIT`` tells that only of its own connection."""
        async with self.master.client() as master, self.replica.client() as replica:
            offset = (await master.info("replication"))["master_repl_offset"]

            async def has_it() -> bool:
                return int((await replica.info("replication"))["slave_repl_offset"]) >= int(offset)

            await eventually(has_it)

    async def fail_over(self) -> None:
        """Make the replica the master, both being well."""
        await eventually(self._asked)
        await eventually(self._moved)

    async def _asked(self) -> bool:
        try:
            await self.sentinel.ask("SENTINEL", "FAILOVER", SERVICE)
        except ResponseError:
            return False  # it does not know the replica well enough yet
        return True

    async def _moved(self) -> bool:
        return await self.master_port() == self.replica.port


@asynccontextmanager
async def watched(kind: str) -> AsyncIterator[Watched]:
    """All three, the replica in step."""
    async with AsyncExitStack() as stack:
        master = await stack.enter_async_context(server(kind, "--repl-diskless-sync-delay", "0"))
        replica = await stack.enter_async_context(
            server(kind, "--replicaof", f"{HOST} {master.port}", "--repl-diskless-sync-delay", "0")
        )

        async def in_step() -> bool:
            async with replica.client() as client:
                return (await client.info("replication")).get("master_link_status") == "up"

        await eventually(in_step)
        settings = (
            f"sentinel monitor {SERVICE} {HOST} {master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        sentinel = await stack.enter_async_context(server(kind, "--sentinel", file=settings))

        async def known() -> bool:
            replicas = await sentinel.ask("SENTINEL", "REPLICAS", SERVICE)
            return bool(replicas)

        await eventually(known)
        yield Watched(master, replica, sentinel)


CLUSTER_OPTIONS = [
    *("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000"),
    *("--repl-diskless-sync-delay", "0"),
]


@asynccontextmanager
async def replica_of(kind: str, owner: Server) -> AsyncIterator[Server]:
    """One more node of a cluster, which has all that ``owner`` has and takes its place if it fails."""
    async with server(kind, *CLUSTER_OPTIONS, "--cluster-port", str(free_port())) as node:
        await node.ask("CLUSTER", "MEET", HOST, owner.port, await _bus_port(owner))
        identity = _text(await owner.ask("CLUSTER", "MYID"))

        async def follows() -> bool:
            try:
                await node.ask("CLUSTER", "REPLICATE", identity)
            except ResponseError:
                return False  # it has not heard of it yet
            async with node.client() as client:
                return (await client.info("replication")).get("master_link_status") == "up"

        await eventually(follows)
        yield node


@asynccontextmanager
async def cluster(kind: str, nodes: int = 3) -> AsyncIterator[Sequence[Server]]:
    """A cluster without replicas; each node owns an equal part of the slots."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(server(kind, *CLUSTER_OPTIONS, "--cluster-port", str(free_port())))
            for _ in range(nodes)
        ]
        share = 16_384 // nodes
        for number, node in enumerate(servers):
            last = 16_383 if number == nodes - 1 else (number + 1) * share - 1
            await node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
            await node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in servers[1:]:
            bus = await _bus_port(servers[0])
            await node.ask("CLUSTER", "MEET", HOST, servers[0].port, bus)

        async def agreed() -> bool:
            for node in servers:
                async with node.client() as client:
                    if "cluster_state:ok" not in str(await _ask(client, "CLUSTER", "INFO")):
                        return False
                    if len(await _slots(node)) != nodes:
                        return False
            return True

        await eventually(agreed)
        yield servers


async def owner_of(servers: Sequence[Server], key: str) -> Server:
    """The node that owns the key's slot."""
    slot = int(str(await servers[0].ask("CLUSTER", "KEYSLOT", key)))
    for start, end, (_, port, *_), *_ in await _slots(servers[0]):
        if start <= slot <= end:
            return next(each for each in servers if each.port == int(port))
    raise AssertionError("nobody owns it")


async def move_slot(servers: Sequence[Server], key: str, target: Server) -> None:
    """Give the key's slot, with all that is in it, to another node."""
    source = await owner_of(servers, key)
    slot = int(str(await source.ask("CLUSTER", "KEYSLOT", key)))
    identity = _text(await target.ask("CLUSTER", "MYID"))
    await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", _text(await source.ask("CLUSTER", "MYID")))
    await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", identity)
    keys = await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
    assert isinstance(keys, list)
    if keys:
        await source.ask("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source, *servers):
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", identity)


async def half_moved(servers: Sequence[Server], key: str, target: Server, *, back: bool = False) -> None:
    """Leave the key's slot in the middle of a move to another node; ``back``: give that up."""
    source = await owner_of(servers, key)
    slot = int(str(await source.ask("CLUSTER", "KEYSLOT", key)))
    if back:
        await source.ask("CLUSTER", "SETSLOT", slot, "STABLE")
        await target.ask("CLUSTER", "SETSLOT", slot, "STABLE")
        return
    await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", _text(await source.ask("CLUSTER", "MYID")))
    await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", _text(await target.ask("CLUSTER", "MYID")))


def _run(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


async def _bus_port(node: Server) -> int:
    async with node.client() as client:
        found = await client.config_get("cluster-port")
    return int(str(next(iter(found.values()))))


async def _slots(node: Server) -> list[tuple[int, int, tuple[bytes, int]]]:
    async with Redis(host=HOST, port=node.port, protocol=2) as client:
        client.response_callbacks.clear()
        found: Any = await _ask(client, "CLUSTER", "SLOTS")
        return [(int(start), int(end), (owner[0], owner[1])) for start, end, owner, *_ in found]


async def _ask(client: Redis, *parts: str | int) -> object:
    return await client.execute_command(*parts)  # type: ignore[no-untyped-call]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def _answers(started: Server, *, tls: bool) -> bool:
    assert started.process.poll() is None, "the server did not start"
    try:
        if tls:
            _, writer = await asyncio.open_connection(HOST, started.port)
            writer.close()
            return True
        await started.ask("PING")
    except (RedisError, OSError):
        return False
    return True


async def move_slot_at_once(servers: Sequence[Server], key: str, target: Server) -> None:
    """The same in one step, while others read and write: Valkey 9 can."""
    source = await owner_of(servers, key)
    slot = int(str(await source.ask("CLUSTER", "KEYSLOT", key)))
    identity = _text(await target.ask("CLUSTER", "MYID"))
    await source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", identity)

    async def moved() -> bool:
        return [(await owner_of([node, *servers], key)).port for node in servers] == [target.port] * len(servers)

    await eventually(moved)
