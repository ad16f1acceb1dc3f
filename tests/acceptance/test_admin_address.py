"""The admin API at an address of its own: there alone, whatever a request says of where it goes."""

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import GatewayProcess, free_port
from tests.acceptance.raw_client import say
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.acceptance

ADMIN_KEY = "the-admins-own-key-77d0"
KEYS = "/tiergate/v1/keys"


@pytest.fixture(scope="module", params=["1", "2"], ids=["one process", "two"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gateway_python: str
) -> Iterator[tuple[GatewayProcess, int]]:
    """A gateway, and the port of its admin API."""
    port = free_port()
    environment = ENVIRONMENT | {
        "TIERGATE_ADMIN_KEY": "env:THE_ADMIN_KEY",
        "THE_ADMIN_KEY": ADMIN_KEY,
        "TIERGATE_ADMIN_LISTEN": f"127.0.0.1:{port}",
        "TIERGATE_PROCESSES": request.param,
    }
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream:
        written = tier_map({"routing": tier(upstream.url, ROUTING_MODEL)})
        directory = tmp_path_factory.mktemp("gateway")
        with GatewayProcess(directory, written, key=KEY, python=gateway_python, environment=environment) as gateway:
            yield gateway, port


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Status and body of a request by the admin at that port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent: dict[str, Any] = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json", **headers}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_keys_are_made_at_the_admins_address_alone(served: tuple[GatewayProcess, int]) -> None:
    gateway, port = served
    assert ask(port, "POST", KEYS, b'{"name": "ci"}')[0] == 201
    assert ask(gateway.port, "POST", KEYS, b'{"name": "other"}')[0] == 404
    assert ask(gateway.port, "GET", "/tiergate/v1/audit")[0] == 404
    assert ask(gateway.port, "POST", "/tiergate/v1/tier-map/reload")[0] == 404
    assert ask(port, "POST", "/tiergate/v1/tier-map/reload")[0] == 200
    assert b'"ci"' in ask(port, "GET", KEYS)[1]


@pytest.mark.parametrize(
    "target",
    [
        "//tiergate/v1/keys", "/./tiergate/v1/keys", "/v1/../tiergate/v1/keys", "/tiergate/v1/%6beys",
        "/TIERGATE/v1/keys", "/tiergate/v1/keys/", "/tiergate%2fv1%2fkeys", "/tiergate/v1/keys;x",
        "http://127.0.0.1:{port}/tiergate/v1/keys", "/tiergate/v1/keys?x=1", "/v1/models/../../tiergate/v1/keys",
    ],
)  # fmt: skip
def test_no_way_of_writing_the_path_or_host_leads_there(served: tuple[GatewayProcess, int], target: str) -> None:
    """What decides is the socket that the request came to, and the path as it is routed."""
    gateway, port = served
    request = (
        f"GET {target.format(port=port)} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-forwarded-port: {port}\r\n"
        f"authorization: Bearer {ADMIN_KEY}\r\nconnection: close\r\n\r\n"
    )
    answer = say(gateway.port, request.encode())
    assert answer.statuses[0] in {307, 400, 401, 404}, answer
    assert b'"data"' not in answer.data
