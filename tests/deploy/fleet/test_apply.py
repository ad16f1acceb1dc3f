"""Changes, one by one, each with its trace; and what becomes of one whose answer is lost."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.fleet.apply import GATEWAY_SECONDS, Applier, Outcome, adopted
from deploy.fleet.change import Plan, World
from deploy.fleet.desired import Desired
from deploy.fleet.errors import ControlPlaneLost, ControlPlaneRefused
from deploy.fleet.plan import make_plan, recovered
from deploy.fleet.state import FleetState, read_state
from tests.deploy.fleet.accounts import Account
from tests.deploy.fleet.worlds import fleet, there, wanted
from tests.tiers.fleets import deployment
from tiers.fleet import Fleet, RegistryLogin, Scaling, Volume
from tiers.tiermap import SecretReference

TWO = fleet(*(deployment(key=f"{name}/0", tier=name) for name in ("a", "b")))


class Bench:
    """One account, one state file."""

    def __init__(self, folder: Path) -> None:
        self.account = Account()
        self.file = folder / "tiers.fleet.json"
        self.said: list[str] = []

    async def world(self) -> World:
        """What the account has."""
        plane = self.account.plane
        return World(
            endpoints=await plane.endpoints(),
            registries=await plane.registries(),
            volumes=await plane.volumes(),
            secrets=await plane.secrets(),
        )

    async def plan(self, one: Fleet) -> tuple[Plan, FleetState]:
        """What would be done, and the state that goes with it."""
        world, want = await self.world(), wanted(one)
        state = recovered(read_state(self.file), want, world)
        return make_plan(one, want, world, state), state

    async def apply(self, one: Fleet, *, drain: float = 0.0, checksum: str = "") -> Outcome:
        """Do it."""
        plan, state = await self.plan(one)
        applier = Applier(
            self.account.plane,
            self.file,
            fleet=one,
            names=(await self.world()).names,
            secret=lambda reference: f"value of {reference}",
            say=self.said.append,
            drain_seconds=drain,
            sleep=self.account.naps,
        )
        return await applier.run(plan, state, checksum=checksum)

    @property
    def state(self) -> FleetState:
        """What is on the disk."""
        return read_state(self.file)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_all_is_made_once_and_the_state_says_where_it_is(bench: Bench) -> None:
    outcome = await bench.apply(TWO)
    assert outcome == Outcome(done=("create endpoint a/0", "create endpoint b/0"), left=())
    assert {key: one.url for key, one in bench.state.endpoints.items()} == {
        "a/0": "https://api.runpod.ai/v2/s0",
        "b/0": "https://api.runpod.ai/v2/s1",
    }
    assert (bench.state.fleet, bench.state.applying) == ("acme", None)
    assert (await bench.plan(TWO))[0].changes == ()


async def test_what_drifted_is_changed_where_it_is(bench: Bench) -> None:
    await bench.apply(TWO)
    other = fleet(deployment(key="a/0", tier="a", context=8), TWO.deployments[1])
    assert (await bench.apply(other)).done == ("update endpoint a/0",)
    assert bench.account.endpoints["s0"]["env"]["MAX_MODEL_LEN"] == "8"
    assert bench.account.calls[-1] == "PATCH serverless s0"


async def test_an_endpoint_whose_answer_was_lost_is_looked_up_and_not_made_twice(bench: Bench) -> None:
    bench.account.lost = ["POST serverless"]
    assert (await bench.apply(TWO)).left == ()
    assert len(bench.account.endpoints) == 2
    assert sorted(bench.state.endpoints) == ["a/0", "b/0"]
    assert any("no answer; looking for acme-a-0" in line for line in bench.said)


async def test_one_that_is_not_found_is_made_again(bench: Bench) -> None:
    """It was never made: Runpod failed before."""
    plan, _ = await bench.plan(TWO)
    assert len(plan.changes) == 2
    bench.account.refused = {"POST serverless": 503}
    outcome = await bench.apply(TWO)
    assert isinstance(outcome.error, ControlPlaneLost)
    assert bench.account.calls == ["POST serverless acme-a-0"] * 2
    assert outcome.left == ("create endpoint a/0", "create endpoint b/0")
    assert bench.state.applying is not None
    assert bench.state.applying.changes == {"create endpoint a/0": "begun", "create endpoint b/0": "left"}
    bench.account.refused = {}
    assert (await bench.apply(TWO)).left == ()
    assert len(bench.account.endpoints) == 2


async def test_a_refusal_stops_it_and_the_next_goes_on_from_there(bench: Bench) -> None:
    """What is done and what is left is told, and kept."""
    broken = replace(TWO, secrets={"hf": SecretReference("env", "HF")})
    bench.account.refused = {"POST secrets": 409}
    outcome = await bench.apply(broken)
    assert isinstance(outcome.error, ControlPlaneRefused)
    assert outcome.left == ("create secret hf", "create endpoint a/0", "create endpoint b/0")
    bench.account.refused = {}
    assert (await bench.apply(broken)).done == outcome.left
    assert bench.state.applying is None


async def test_one_that_shows_too_late_is_told_and_left_alone(bench: Bench) -> None:
    """Nothing told that it was there, so another was made; nobody deletes what may be somebody else's."""
    bench.account.lost = ["POST serverless"]
    bench.account.hidden = 99
    assert (await bench.apply(TWO)).left == ()
    bench.account.hidden = 0
    plan, _ = await bench.plan(TWO)
    assert plan.changes == ()
    assert [one.message.split(" (")[0] for one in plan.obstacles] == ["a/0: acme-a-0 is there already"]


async def test_a_volume_a_login_and_a_secret_are_made_first_and_named_by_their_ids(bench: Bench) -> None:
    one = replace(
        TWO,
        volume=Volume(name="models", size_gb=50, data_center="EU"),
        registry=RegistryLogin(name="hub", username=SecretReference("env", "U"), password=SecretReference("env", "P")),
        secrets={"hf": SecretReference("env", "HF")},
    )
    bench.account.lost = ["POST network-volumes", "POST registries", "POST secrets"]
    assert (await bench.apply(one)).left == ()
    assert bench.account.endpoints["s0"]["networkVolumes"] == ["n0"]
    assert bench.account.endpoints["s0"]["registry"] == "r0"
    assert [len(bench.account.things[kind]) for kind in ("network-volumes", "registries", "secrets")] == [1, 1, 1]
    assert "value of" not in bench.file.read_text()
    grown = replace(one, volume=Volume(name="models", size_gb=80, data_center="EU"))
    assert (await bench.apply(grown)).done == ("update volume models",)
    assert bench.account.things["network-volumes"]["n0"]["size"] == 80


async def test_one_is_replaced_by_another_type_and_deleted_when_its_jobs_are_done(bench: Bench) -> None:
    """The state has the new address before, so that gateways have gone over."""
    await bench.apply(TWO)
    balanced = deployment(key="a/0", tier="a", type="LOAD_BALANCER", scaling=Scaling(requests=3))
    bench.account.jobs["s0"] = [2, 1, 0]
    naps = len(bench.account.naps.seconds)
    outcome = await bench.apply(fleet(balanced, TWO.deployments[1]), drain=60.0)
    assert outcome.done == ("create endpoint a/0", "delete endpoint a/0 s0")
    assert bench.state.endpoints["a/0"].url == "https://s2.api.runpod.ai/v1"
    assert dict(bench.state.retired) == {}
    assert sorted(bench.account.endpoints) == ["s1", "s2"]
    assert bench.account.naps.seconds[naps:] == [GATEWAY_SECONDS, 2.0, 2.0]


async def test_draining_has_an_end_and_a_balanced_endpoint_its_time(bench: Bench) -> None:
    balanced = deployment(key="c/0", tier="c", type="LOAD_BALANCER", scaling=Scaling(requests=3))
    await bench.apply(fleet(*TWO.deployments, balanced))
    bench.account.jobs["s0"] = [5]
    bench.account.refused = {}
    naps = len(bench.account.naps.seconds)
    gone = fleet(TWO.deployments[1])
    assert (await bench.apply(gone, drain=4.0)).left == ()
    assert bench.account.naps.seconds[naps:] == [3.0, 2.0, 2.0, 3.0, 4.0]
    assert sorted(bench.state.endpoints) == ["b/0"]


async def test_an_endpoint_that_nobody_can_ask_is_deleted_all_the_same(bench: Bench) -> None:
    await bench.apply(TWO)
    plan, state = await bench.plan(fleet(TWO.deployments[1]))
    del bench.account.endpoints["s0"]
    applier = Applier(
        bench.account.plane,
        bench.file,
        fleet=TWO,
        names={},
        secret=str,
        say=bench.said.append,
        drain_seconds=5.0,
        sleep=bench.account.naps,
    )
    assert (await applier.run(plan, state)).left == ()
    assert any("404" in line for line in bench.said)


def test_somebody_elses_endpoint_is_one_of_ours_from_then_on() -> None:
    want: Sequence[Desired] = wanted(TWO)
    state = adopted(FleetState(), want[0], there(want[0], "theirs"))
    assert (state.endpoints["a/0"].id, state.endpoints["a/0"].adopted) == ("theirs", True)
