"""The peers' race as a library: the folder with ``bench.py``, ``targets.py`` and the installed peers."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from subprocess import Popen
from types import ModuleType
from typing import Any, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What the other modules take from that folder, with types.

    It starts programs pinned to a core, stops them by their ids, reads their CPU clocks and drives the loads whose
    figures the race compares, so that every part of the bench measures in the same way.
    """

    folder: Path
    bench: ModuleType
    targets: ModuleType

    @classmethod
    def at(cls, folder: Path) -> "Harness":
        """Load the folder's modules and build its C programs where they are missing.

        Raises:
            FileNotFoundError: The folder has no ``bench.py``.
        """
        folder = folder.resolve()
        bench = _module("peers_bench", folder / "bench.py")  # not "bench": that is this package
        harness = cls(folder=folder, bench=bench, targets=sys.modules["targets"])
        bench.build()
        return harness

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return int(self.targets.PORT)

    @property
    def upstream_port(self) -> int:
        """Where the mock endpoint listens."""
        return int(self.targets.UP)

    @property
    def store_port(self) -> int:
        """Where Redis listens."""
        return int(self.targets.REDIS)

    @property
    def key(self) -> str:
        """The caller's key of the fixed loads."""
        return str(self.targets.KEY)

    @property
    def gateway_core(self) -> str:
        """The core that the gateway has for itself."""
        return str(self.bench.GW_CPU)

    @property
    def load_core(self) -> str:
        """The core that load, endpoint and store share."""
        return str(self.bench.LOAD_CPU)

    @property
    def nginx(self) -> Path:
        """Debian's nginx."""
        return self.folder / "envs/debnginx/usr/sbin/nginx"

    def body(self, model: str, knobs: str, *, stream: bool) -> bytes:
        """A chat completion's JSON; ``knobs`` tell the mock what to do, such as ``[[d=50]]`` to think 50 ms."""
        return cast("bytes", self.bench.body(model, knobs, stream))

    def start(self, command: Sequence[str], *, core: str, log: Path, environment: dict[str, str]) -> "Popen[bytes]":
        """Start a program on one core; its output goes to ``log``."""
        return cast("Popen[bytes]", self.bench.spawn(list(command), core, log, environment))

    def stop(self, process: "Popen[bytes] | None") -> None:
        """Stop a program that was started here, with its children."""
        self.bench.stop(process)

    def claim(self, *ports: int) -> None:
        """Make sure that nobody listens on these ports: what answered there would be measured in our place.

        Raises:
            RuntimeError: Somebody does.
        """
        for port in ports:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    raise RuntimeError(f"port {port} is taken: is another run going on? PERF_PORT, PERF_UP, PERF_REDIS")

    def wait_port(self, port: int) -> None:
        """Wait up to 10 s until something listens on ``port``. Raises ``OSError``."""
        self.bench.wait_port(port, 10)

    def tree(self, process: int) -> list[int]:
        """A process and all its descendants."""
        return cast("list[int]", self.bench.ptree(process))

    def cpu_seconds(self, processes: Sequence[int]) -> float:
        """The CPU seconds that these processes have used, by the kernel's nanosecond clocks."""
        return float(self.bench.cpu_s(list(processes)))

    def machine_seconds(self) -> float:
        """The CPU seconds that all processes of the machine have used."""
        return float(self.bench.busy_s())

    def rss_kib(self, processes: Sequence[int]) -> float:
        """Resident memory of these processes together, in KiB (exact to 0.1 MiB)."""
        return float(self.bench.rss_mib(list(processes))) * 1024

    def quiet(self) -> None:
        """Wait up to some seconds until the rest of the machine rests."""
        self.bench.quiet()

    def drive(
        self, model: str, folder: Path, *, port: int, clients: int, seconds: float, knobs: str, stream: bool
    ) -> dict[str, Any]:
        """Closed loop of ``clients`` connections: wrk for whole answers, the harness's own client for streams."""
        target = self.targets.Target([], model=model, port=port)
        generator = "load" if stream else "wrk"
        return cast(
            "dict[str, Any]", self.bench.drive(target, folder, generator, clients, round(seconds), knobs, stream)
        )


def _module(name: str, file: Path) -> ModuleType:
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: name the folder of the peers' race")
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
