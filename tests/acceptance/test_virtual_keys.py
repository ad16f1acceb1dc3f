"""Virtual keys: made over the admin API, used at once on every process, rotated, and revoked everywhere."""

import http.client
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openai import AuthenticationError, OpenAI

from tests.acceptance.conftest import ENVIRONMENT, KEY, ROUTING_MODEL, UPSTREAM_KEY, tier, tier_map
from tests.acceptance.gateway_process import Answer, GatewayProcess, free_port
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.stores import redis_server

pytestmark = pytest.mark.acceptance

ADMIN_KEY = "the-admins-own-key-5f1c"
PATH = "/tiergate/v1/keys"
EVERYWHERE_SECONDS = 2.0


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, gateway_python: str) -> Iterator[list[GatewayProcess]]:
    """Two gateways on one store, with one pepper."""
    environment = ENVIRONMENT | {
        "TIERGATE_ADMIN_KEY": "env:THE_ADMIN_KEY",
        "THE_ADMIN_KEY": ADMIN_KEY,
        "TIERGATE_KEY_PEPPER": "env:THE_PEPPER",
        "THE_PEPPER": "pepper-for-all-gateways",
    }
    with OpenAIUpstream(models=(ROUTING_MODEL,), api_key=UPSTREAM_KEY).in_thread() as upstream, redis_server() as store:
        written = tier_map({"routing": tier(upstream.url, ROUTING_MODEL), "dear": tier(upstream.url, "org/dear")})
        environment["TIERGATE_STORE"] = f"unix://{store}"
        made = [
            GatewayProcess(
                tmp_path_factory.mktemp("gateway"), written, key=KEY, python=gateway_python, environment=environment
            )
            for _ in range(2)
        ]
        with made[0], made[1]:
            yield made


def create(gateway: GatewayProcess, by: str = ADMIN_KEY, **asked: object) -> dict[str, Any]:
    """A new key, as the admin API answers."""
    answer = gateway.call("POST", PATH, asked, key=by)
    assert answer.status == http.client.CREATED, answer
    shown: dict[str, Any] = answer.json()
    return shown


def ask(gateway: GatewayProcess, key: str, model: str = "routing", agent: str = "writer") -> Answer:
    """One request for an answer."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return gateway.call("POST", "/v1/chat/completions", body, key=key, headers={"x-tiergate-agent": agent})


def refused_everywhere(gateways: list[GatewayProcess], key: str) -> None:
    """Within the bound."""
    for gateway in gateways:
        gateway.wait_until(partial(refused, gateway, key), seconds=EVERYWHERE_SECONDS)


def refused(gateway: GatewayProcess, key: str) -> bool:
    """Whether the key is not taken now."""
    return ask(gateway, key).status == http.client.UNAUTHORIZED


def test_a_key_works_at_once_on_every_gateway_until_it_is_revoked(gateways: list[GatewayProcess]) -> None:
    made = create(gateways[0], name="ci", tiers=["routing"], agents=["writer*"])
    clients = [OpenAI(api_key=made["key"], base_url=each.url, max_retries=0) for each in gateways]
    for client in clients:
        answer = client.chat.completions.create(
            model="routing", messages=[{"role": "user", "content": "hi"}], extra_headers={"x-tiergate-agent": "writer"}
        )
        assert answer.choices[0].message.content
    assert ask(gateways[1], made["key"], model="dear").code == "tier_not_allowed"
    assert ask(gateways[1], made["key"], agent="reader").code == "agent_not_allowed"
    shown = gateways[1].call("GET", f"{PATH}/{made['id']}", key=ADMIN_KEY)
    assert made["key"] not in shown.body.decode()
    assert gateways[0].call("DELETE", f"{PATH}/{made['id']}", key=ADMIN_KEY).status == http.client.OK
    refused_everywhere(gateways, made["key"])
    with pytest.raises(AuthenticationError):
        clients[1].models.list()
    for client in clients:
        client.close()


def test_after_a_rotation_both_secrets_work_until_the_old_ones_time_is_over(gateways: list[GatewayProcess]) -> None:
    old = create(gateways[0], name="rotated")
    new = gateways[1].call("POST", f"{PATH}/{old['id']}/rotate?grace_seconds=1.5", key=ADMIN_KEY).json()
    assert new["key"] != old["key"]
    assert [ask(each, new["key"]).status for each in gateways] == [200, 200]
    assert ask(gateways[0], old["key"]).status == http.client.OK
    refused_everywhere(gateways, old["key"])
    assert [ask(each, new["key"]).status for each in gateways] == [200, 200]


def test_what_a_key_makes_ends_with_it(gateways: list[GatewayProcess]) -> None:
    """And can do no more than it."""
    maker = create(gateways[0], name="maker", team="red", tiers=["routing"], may_make_keys=True)
    child = create(gateways[1], by=maker["key"], name="child", team="red", tiers=["routing"])
    assert ask(gateways[0], child["key"]).status == http.client.OK
    more = gateways[0].call("POST", PATH, {"name": "more", "team": "red"}, key=maker["key"])
    assert (more.status, more.code) == (403, "key_exceeds_maker")
    assert gateways[0].call("GET", "/tiergate/v1/audit", key=maker["key"]).status == http.client.UNAUTHORIZED
    assert gateways[0].call("DELETE", f"{PATH}/{maker['id']}", key=ADMIN_KEY).status == http.client.OK
    refused_everywhere(gateways, child["key"])


def test_a_keys_budget_holds_on_all_gateways_together_and_for_what_it_makes(gateways: list[GatewayProcess]) -> None:
    budgets = [{"name": "few", "limit": "3 requests", "window": "30d", "spent": "reject"}]
    maker = create(gateways[0], name="pauper", may_make_keys=True, budgets=budgets)
    child = create(gateways[0], by=maker["key"], name="paupers-child")
    asked = [
        (gateways[0], maker),
        (gateways[1], child),
        (gateways[1], maker),
        (gateways[0], child),
        (gateways[1], maker),
    ]
    answers = [ask(gateway, key["key"]) for gateway, key in asked]
    assert [answer.status for answer in answers] == [200, 200, 200, 402, 402]
    assert "pauper/few" in answers[3].json()["error"]["message"]


def test_every_change_is_in_the_audit_log(gateways: list[GatewayProcess]) -> None:
    """From all gateways, in one chain, without a secret."""
    made = create(gateways[1], name="noted")
    assert gateways[0].call("POST", "/tiergate/v1/tier-map/reload", key=ADMIN_KEY).status == http.client.OK
    answer = gateways[0].call("GET", "/tiergate/v1/audit", key=ADMIN_KEY)
    told = answer.json()
    assert [entry["what"] for entry in told["data"][-2:]] == ["key.created", "tier_map.reload"]
    assert (told["data"][-2]["key"], told["data"][-2]["by"]) == (made["id"], "admin")
    assert told["data"][-2]["source"] == "127.0.0.1"
    assert told["missing_before"] == []
    assert made["key"] not in answer.body.decode()


def test_keys_that_nobody_has_are_refused_at_once_and_do_not_pass_for_the_admins(
    gateways: list[GatewayProcess],
) -> None:
    unknown = "tg-" + "x" * 43
    assert [ask(each, unknown).code for each in gateways] == ["invalid_api_key"] * 2
    assert gateways[0].call("GET", PATH, key=unknown).code == "invalid_api_key"
    assert gateways[0].events("admin.refused")
    assert unknown not in gateways[0].log_path.read_text()


def test_without_the_store_known_keys_are_told_apart_from_unknown_ones(tmp_path: Path, gateway_python: str) -> None:
    """An unknown key that may be a virtual one is 503; one that cannot be is 401."""
    environment = ENVIRONMENT | {"TIERGATE_STORE": f"redis://127.0.0.1:{free_port()}/0"}
    written = tier_map({"routing": tier("http://127.0.0.1:9/v1", ROUTING_MODEL)})
    with GatewayProcess(
        tmp_path, written, key=KEY, python=gateway_python, environment=environment, waits_for="/healthz"
    ) as gateway:
        assert ask(gateway, "tg-" + "x" * 43).code == "store_unavailable"
        assert ask(gateway, "no-virtual-key").code == "invalid_api_key"
