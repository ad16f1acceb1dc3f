import socket

import pytest

from deploy.errors import PortsTaken
from deploy.local.ports import Port, require_free


def test_every_port_that_is_in_use_is_named_with_its_remedy() -> None:
    """All at once, so that nobody mends one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        numbers = [server.getsockname()[1] for server in (one, two)]
        ports = [Port(number=number, purpose=f"part {n}", remedy=f"remedy {n}") for n, number in enumerate(numbers)]
        with pytest.raises(PortsTaken) as caught:
            require_free(ports)
    assert caught.value.message.splitlines() == [
        f"port {number}, which the part {n} needs, is in use" for n, number in enumerate(numbers)
    ]
    assert "ss -ltnp" in caught.value.remedy
    assert "remedy 0; remedy 1" in caught.value.remedy


def test_a_port_that_was_just_left_is_free() -> None:
    """Connections that linger after a run must not hinder the next one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", number)):
            server.accept()[0].close()
    require_free([Port(number=number, purpose="part", remedy="")])


def test_a_port_wanted_twice_is_refused() -> None:
    ports = [Port(number=0, purpose=purpose, remedy="move it") for purpose in ("gateway", "engine")]
    with pytest.raises(PortsTaken, match="port 0 is wanted twice: by the gateway and the engine"):
        require_free(ports)


def test_a_port_that_the_system_refuses_is_told_with_the_systems_reason() -> None:
    """An address that this machine does not have stands in for a port that needs more rights."""
    with pytest.raises(PortsTaken, match="cannot be used: Cannot assign requested address"):
        require_free([Port(number=0, purpose="gateway", remedy="")], host="192.0.2.1")
