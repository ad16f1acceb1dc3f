"""Which engine stands behind a worker."""

from pathlib import Path

import httpx
import pytest

from deploy.emulator.engines.child import ChildEngine
from deploy.emulator.engines.generator import Generator
from deploy.emulator.engines.kinds import EngineMaker, ImageCommand
from deploy.emulator.model.config import EndpointConfig
from tests.deploy.emulator.engines.test_generator import CountedTime
from tests.deploy.emulator.worlds import balanced, config, endpoint_in, world


def maker(client: httpx.AsyncClient, *commands: str) -> EngineMaker:
    return EngineMaker(
        commands=[ImageCommand.parse(command) for command in commands],
        environment={"PATH": "/bin", "MODEL_NAME": "outer"},
        clock=CountedTime(),
        client=client,
        logs=Path("logs"),
        seed=1,
    )


async def made_for(settings: EndpointConfig, *commands: str) -> Generator | ChildEngine:
    [worker] = endpoint_in(world(), settings).workers.values()
    async with httpx.AsyncClient() as client:
        return maker(client, *commands)(worker)


def test_a_command_is_read_as_words() -> None:
    command = ImageCommand.parse("org/*=run --port '{port} x'")
    assert (command.pattern, command.words) == ("org/*", ("run", "--port", "{port} x"))
    for text in ("no-command", "=run", "org/*="):
        with pytest.raises(ValueError, match="is not PATTERN=COMMAND"):
            ImageCommand.parse(text)


async def test_without_a_command_for_its_image_a_worker_has_the_generator() -> None:
    assert isinstance(await made_for(config(workers_min=1), "other/*=run"), Generator)


async def test_a_command_is_filled_in_with_what_the_worker_serves() -> None:
    """The first pattern that fits wins; the endpoint's variables come over those of this machine."""
    engine = await made_for(config(workers_min=1), "runpod/*=run {model} {slots} {context} {port}", "*=never")
    assert isinstance(engine, ChildEngine)
    program = engine._program
    assert program.command == ("run", "router", "4", "4096", str(program.port))
    assert program.health_path == "/health"
    assert program.environment["PATH"] == "/bin"
    assert program.environment["MODEL_NAME"] == "org/model"
    assert "PORT" not in program.environment


async def test_a_load_balancing_worker_is_told_its_port() -> None:
    engine = await made_for(balanced(workers_min=1), "*=run")
    assert isinstance(engine, ChildEngine)
    program = engine._program
    assert program.environment["PORT"] == program.environment["PORT_HEALTH"] == str(program.port)
    assert program.health_path == "/ping"
