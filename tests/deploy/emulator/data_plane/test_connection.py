"""Breaking connections off."""

import asyncio

import pytest

from deploy.emulator.data_plane.connection import Breakable, break_off
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.running import INSTANT, running


async def test_without_a_transport_nothing_is_broken() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        del receive, send
        assert isinstance(scope, dict)
        break_off(scope)

    async def receive() -> dict[str, object]:
        return {}

    async def send(message: object) -> None:
        del message

    await Breakable(app)({"type": "http"}, receive, send)


@pytest.mark.integration
async def test_a_reset_is_one_on_the_wire() -> None:
    """Not a mere end of the connection."""
    async with running() as here:
        endpoint = here.queue(Faults(reset=True))
        port = int(here.emulator.origin.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v2/{endpoint.id}/purge-queue HTTP/1.1\r\nhost: x\r\nauthorization: Bearer rpa_test\r\n\r\n"
        writer.write(head.encode())
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert INSTANT.reset is False
