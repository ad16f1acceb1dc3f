"""The emulator's own API."""

from dataclasses import fields

import pytest

from deploy.emulator.admin import FaultsBody
from deploy.emulator.model.faults import Faults
from tests.deploy.emulator.running import running

pytestmark = pytest.mark.integration


def test_every_fault_can_be_switched() -> None:
    assert {field.name for field in fields(Faults)} == set(FaultsBody.model_fields)
    assert FaultsBody().model_dump() == {field.name: field.default for field in fields(Faults)}


async def test_faults_are_switched_on_one_by_one_and_off_together() -> None:
    async with running() as here:
        endpoint = here.queue(Faults())
        url = f"{here.emulator.origin}/emulator/endpoints/{endpoint.id}/faults"
        await here.client.patch(url, json={"noCapacity": True})
        told = (await here.client.patch(url, json={"loadSeconds": 540})).json()
        assert (told["noCapacity"], told["loadSeconds"]) == (True, 540)
        assert endpoint.faults == Faults(no_capacity=True, load_seconds=540.0)
        assert (await here.client.get(url)).json() == told
        assert (await here.client.delete(url)).json()["noCapacity"] is False
        assert endpoint.faults == Faults()


async def test_what_is_no_fault_is_refused() -> None:
    async with running() as here:
        endpoint = here.queue(Faults())
        url = f"{here.emulator.origin}/emulator/endpoints/{endpoint.id}/faults"
        for body in ({"noCapacty": True}, {"status": 200}, {"garbleEvery": 0}):
            answer = await here.client.patch(url, json=body)
            assert answer.status_code == 422
            assert answer.json()["error"][0]["at"] == list(body)
        other = url.replace(endpoint.id, "other")
        assert (await here.client.patch(other, json={})).status_code == 404
        assert (await here.client.delete(other)).status_code == 404
        assert (await here.client.get(other)).status_code == 404


async def test_the_clock_is_moved_and_scaled() -> None:
    async with running(speed=0) as here:
        url = f"{here.emulator.origin}/emulator/clock"
        before = here.emulator.clock.now()
        told = (await here.client.post(url, json={"advance": 3600})).json()
        assert told == {"now": before + 3600, "speed": 0}
        assert (await here.client.post(url, json={"speed": 10})).json()["speed"] == 10
        assert (await here.client.post(url, json={"speed": -1})).status_code == 422


async def test_a_jump_lets_everything_happen_in_between() -> None:
    async with running(speed=0) as here:
        endpoint = here.queue(Faults(), workers_min=1)
        await here.client.post(f"{here.emulator.origin}/emulator/clock", json={"advance": 400})
        state = (await here.client.get(f"{here.emulator.origin}/emulator/state")).json()
        [told] = state["endpoints"]
        assert (told["id"], told["workers"][0]["state"]) == (endpoint.id, "running")
        assert told["billedSeconds"] > 300
        assert told["costUsd"] == state["accounts"][0]["spentUsd"] > 0


async def test_an_accounts_figures_can_be_set() -> None:
    async with running() as here:
        url = f"{here.emulator.origin}/emulator/accounts/{here.emulator.account.id}"
        told = (await here.client.patch(url, json={"balanceUsd": 50, "spendLimitUsdPerHour": 2})).json()
        assert told["workersMax"] == 5
        assert (await here.client.patch(url, json={"quotaWorkers": 9})).json()["workersMax"] == 9
        assert here.emulator.account.spend_limit_usd_per_hour == 2
        assert (await here.client.patch(f"{url}x", json={})).status_code == 404
