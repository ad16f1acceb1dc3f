"""What has to be changed, decided from values."""

from dataclasses import replace
from typing import Any

from deploy.fleet.answers import Registry, Secret, Volume
from deploy.fleet.change import Plan, World
from deploy.fleet.plan import make_plan, recovered, teardown
from deploy.fleet.state import Applying, Deployed, FleetState
from tests.deploy.fleet.worlds import app, fleet, gpu, made, there, wanted
from tests.tiers.fleets import deployment
from tiers.fleet import Fleet, RegistryLogin, Scaling
from tiers.fleet import Volume as WantedVolume
from tiers.tiermap import SecretReference

NOTHING = World(secrets=())


def plan(one: Fleet, world: World = NOTHING, state: FleetState = FleetState()) -> Plan:  # noqa: B008 - a value
    return make_plan(one, wanted(one), world, state)


def labels(found: Plan) -> list[str]:
    return [change.label for change in found.changes]


def three() -> Fleet:
    return fleet(*(deployment(key=f"{name}/0", tier=name) for name in ("a", "b", "c")))


def test_an_empty_account_gets_everything_in_order_and_the_sums_are_told() -> None:
    """What endpoints name comes before them."""
    one = fleet(
        deployment(workers_min=1),
        apps=(app(),),
        registry=RegistryLogin(name="hub", username=SecretReference("env", "U"), password=SecretReference("env", "P")),
        volume=WantedVolume(name="models", size_gb=300, data_center="EU"),
        secrets={"hf": SecretReference("env", "HF")},
    )
    found = plan(one)
    assert labels(found) == [
        "create registry hub",
        "create secret hf",
        "create volume models",
        "create endpoint orchestrator",
        "create endpoint routing/0",
    ]
    assert (found.obstacles, found.is_unsafe) == ((), False)
    assert found.hour_max == 3 * 1_116_000 + 2 * 120_000
    assert found.idle_day == 24 * 1_116_000 + 700_000
    assert (found.workers, found.quota) == (5, 50)
    assert found.changes[2].body == {"name": "models", "size": 300, "dataCenter": "EU"}
    assert "P" not in repr(found.changes[0].body)


def test_what_is_there_as_wanted_needs_nothing() -> None:
    one = fleet(apps=(app(),))
    found = plan(one, *made(one))
    assert (found.changes, found.obstacles, found.notes) == ((), (), ())


def test_a_plan_of_the_same_is_the_same_and_of_anything_else_is_not() -> None:
    one = fleet()
    assert plan(one).checksum == plan(one).checksum
    assert plan(one).checksum != plan(fleet(deployment(context=8))).checksum
    world, state = made(one)
    drifted = World(endpoints=(there(wanted(one)[0], "id-routing-0", timeout=1),), secrets=())
    again = World(endpoints=(there(wanted(one)[0], "id-routing-0", timeout=2),), secrets=())
    assert plan(one, drifted, state).checksum != plan(one, again, state).checksum
    assert plan(one, world, state).checksum == plan(one, world, state).checksum


def test_what_drifted_is_put_right_and_those_that_give_up_workers_come_first() -> None:
    one = three()
    world, state = made(one)
    first, second, third = world.endpoints
    workers = {"min": 0, "max": 9, "idleTimeout": 10}
    world = replace(world, endpoints=(_with(first, timeout=1), second, _with(third, workers=workers)))
    found = plan(one, world, state)
    assert labels(found) == ["update endpoint c/0", "update endpoint a/0"]
    assert [change.id for change in found.changes] == ["id-c-0", "id-a-0"]
    assert found.changes[0].body == {"workers": {"min": 0, "max": 3, "idleTimeout": 10}}
    assert not found.is_unsafe


def _with(found: Any, **fields: Any) -> Any:  # noqa: ANN401 - a model and any of its fields
    return type(found).model_validate({**found.fields, "requestUrls": found.request_urls, **fields})


def test_an_endpoint_that_is_no_longer_wanted_is_deleted_which_is_unsafe() -> None:
    world, state = made(three())
    found = plan(fleet(deployment(key="a/0"), deployment(key="b/0")), world, state)
    assert labels(found) == ["delete endpoint c/0 id-c-0"]
    assert found.is_unsafe


def test_another_class_of_gpu_is_unsafe() -> None:
    one = three()
    world, state = made(one)
    other = fleet(deployment(key="a/0", gpus=(gpu("A100 80GB"),)), *one.deployments[1:])
    found = plan(other, world, state)
    assert found.changes[0].unsafe == ("the class or number of GPUs changes",)


def test_another_type_makes_another_endpoint_first_and_deletes_the_old_one_last() -> None:
    one = three()
    world, state = made(one)
    balanced = deployment(key="a/0", type="LOAD_BALANCER", scaling=Scaling(requests=3))
    other = fleet(balanced, *one.deployments[1:])
    found = plan(other, world, state)
    assert labels(found) == ["create endpoint a/0", "delete endpoint a/0 id-a-0"]
    assert all(change.unsafe for change in found.changes)
    assert found.workers == 12, "both are there for a while"
    new = there(wanted(other)[0], "new")
    world = replace(world, endpoints=(*world.endpoints, new))
    state = state.with_endpoint("a/0", Deployed(id="new", name="acme-a-0", type="LOAD_BALANCER", url=new.url))
    left = plan(other, world, state)
    assert labels(left) == ["delete endpoint a/0 id-a-0"]
    assert (left.obstacles, left.changes[0].id) == ((), "id-a-0")


def test_new_workers_for_more_than_a_third_of_the_fleet_are_unsafe() -> None:
    """One endpoint alone never is."""
    one = three()
    world, state = made(one)
    images = [replace(each, image="runpod/worker-v1-vllm:v2.26.0") for each in one.deployments]
    assert not plan(fleet(images[0], *one.deployments[1:]), world, state).is_unsafe
    found = plan(fleet(*images[:2], one.deployments[2]), world, state)
    assert found.unsafe == ("2 of 3 endpoints get new workers or go: more than a third of the fleet",)
    bounded = [replace(each, workers_max=2) for each in one.deployments]
    assert not plan(fleet(*bounded), world, state).is_unsafe


def test_a_foreign_endpoint_of_the_same_name_is_never_touched() -> None:
    one = fleet()
    foreign = there(wanted(one)[0], "theirs")
    found = plan(one, World(endpoints=(foreign,), secrets=()))
    assert labels(found) == ["create endpoint routing/0"]
    [obstacle] = found.obstacles
    assert "acme-routing-0 is there already (theirs)" in obstacle.message
    assert "tiergate-deploy adopt routing/0 theirs" in obstacle.remedy


def test_endpoints_of_others_are_no_business_of_ours_but_count_against_the_quota() -> None:
    one = fleet(quota=4)
    theirs = there(replace(wanted(one)[0], name="theirs"), "x", name="theirs")
    found = plan(one, World(endpoints=(theirs,), secrets=()))
    assert labels(found) == ["create endpoint routing/0"]
    [obstacle] = found.obstacles
    assert "may have 6 workers together then, and its quota is 4" in obstacle.message
    world, state = made(one)
    over = replace(world, endpoints=(*world.endpoints, theirs))
    other = fleet(deployment(context=8), quota=4)
    assert plan(other, over, state).obstacles == (), "what is over already hinders no other change"


def test_what_an_environment_names_must_be_there_or_be_made() -> None:
    one = fleet(
        deployment(env={"HUGGING_FACE_HUB_TOKEN": "{{ RUNPOD_SECRET_hf }}"}), registry=RegistryLogin(name="hub")
    )
    found = plan(one)
    assert [obstacle.message for obstacle in found.obstacles] == [
        "the account has no registry login called hub",
        "routing/0: its environment names the secret hf, which the account does not have",
    ]
    world = World(registries=(Registry(id="r", name="hub"),), secrets=(Secret(id="s", name="hf"),))
    assert plan(one, world).obstacles == ()
    assert plan(one, replace(world, secrets=None)).obstacles == ()


def test_a_volume_grows_and_never_shrinks() -> None:
    one = fleet(volume=WantedVolume(name="models", size_gb=50, data_center="EU"))
    small = Volume.model_validate({"id": "v", "name": "models", "size": 20, "dataCenter": "EU"})
    large = small.model_copy(update={"size": 80})
    grown = plan(one, World(volumes=(small,), secrets=())).changes[0]
    assert (grown.label, grown.id, grown.body) == ("update volume models", "v", {"size": 50})
    assert [(change.before, change.after) for change in grown.fields] == [("20", "50")]
    assert labels(plan(one, World(volumes=(large,), secrets=()))) == ["create endpoint routing/0"]


def test_what_others_deleted_is_told_and_made_again() -> None:
    one = fleet()
    _, state = made(one)
    found = plan(one, NOTHING, state)
    assert labels(found) == ["create endpoint routing/0"]
    assert found.notes == ("routing/0: acme-routing-0 (id-routing-0) is no longer there; somebody else deleted it",)


def test_an_apply_that_was_stopped_is_told() -> None:
    applying = Applying(plan="abc", changes={"create endpoint a/0": "done", "create endpoint b/0": "begun"})
    found = plan(fleet(), NOTHING, FleetState(applying=applying))
    assert found.notes == ("an apply of plan abc was stopped; done: create endpoint a/0; left: create endpoint b/0",)


def test_an_endpoint_whose_answer_was_lost_is_ours() -> None:
    one = fleet()
    [want] = wanted(one)
    found = there(want, "lost")
    world = World(endpoints=(found,), secrets=())
    begun = FleetState(applying=Applying(plan="x", changes={"create endpoint routing/0": "begun"}))
    state = recovered(begun, [want], world)
    assert state.endpoints["routing/0"].id == "lost"
    assert plan(one, world, state).changes == ()
    assert recovered(begun, [want], NOTHING) == begun
    left = FleetState(applying=Applying(plan="x", changes={"create endpoint routing/0": "left"}))
    assert recovered(left, [want], world) == left
    assert recovered(FleetState(), [want], world) == FleetState()


def test_what_was_retired_and_is_gone_is_forgotten() -> None:
    old = Deployed(id="old", name="acme-a-0", type="QUEUE", url="https://a")
    assert recovered(FleetState(retired={"old": old}), [], NOTHING) == FleetState()


def test_tearing_down_deletes_what_is_ours_and_nothing_else() -> None:
    one = three()
    world, state = made(one)
    theirs = there(replace(wanted(one)[0], name="theirs"), "theirs", name="theirs")
    retired = there(wanted(one)[0], "old")
    state = replace(state, retired={"old": Deployed(id="old", name="acme-a-0", type="QUEUE", url="https://a")})
    found = teardown("acme", replace(world, endpoints=(*world.endpoints, theirs, retired)), state)
    assert labels(found) == [
        "delete endpoint a/0 id-a-0",
        "delete endpoint a/0 old",
        "delete endpoint b/0 id-b-0",
        "delete endpoint c/0 id-c-0",
    ]
    assert found.is_unsafe


def test_an_endpoint_that_is_to_be_replaced_is_not_taken_for_its_successor() -> None:
    """It has the name and perhaps the type of the one whose making was begun."""
    one = fleet()
    world, state = made(one)
    begun = replace(state, applying=Applying(plan="x", changes={"create endpoint routing/0": "begun"}))
    assert recovered(begun, wanted(one), world) == begun
    both = replace(world, endpoints=(*world.endpoints, there(wanted(one)[0], "new")))
    found = recovered(begun, wanted(one), both)
    assert (found.endpoints["routing/0"].id, list(found.retired)) == ("new", ["id-routing-0"])


def test_secrets_of_which_nothing_is_told_are_named() -> None:
    """August's API has none; whoever uses it makes them by hand."""
    one = fleet(secrets={"hf": SecretReference("env", "HF")})
    found = plan(one, World(secrets=None))
    assert labels(found) == ["create endpoint routing/0"]
    assert found.notes == ("this account's API does not tell of secrets: see in the console that it has hf",)
