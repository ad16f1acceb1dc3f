"""A plan's parts as values."""

from dataclasses import replace

from deploy.fleet.answers import Registry, Volume
from deploy.fleet.change import Change, Plan, World, as_data, same

CREATE = Change(action="create", kind="endpoint", key="a/0", name="acme-a-0", body={"timeout": 1})
DELETE = Change(action="delete", kind="endpoint", key="a/0", name="acme-a-0", id="e1", unsafe=("it goes",))


def test_no_two_changes_of_a_plan_are_called_the_same() -> None:
    assert (CREATE.label, DELETE.label) == ("create endpoint a/0", "delete endpoint a/0 e1")


def test_what_does_the_same_is_the_same() -> None:
    assert same(CREATE, replace(CREATE, hour_max=5))
    assert not same(CREATE, replace(CREATE, body={"timeout": 2}))
    assert not same(DELETE, replace(DELETE, id="e2"))


def test_a_plan_needs_a_second_word_for_one_change_or_for_all_of_them_together() -> None:
    assert not Plan(fleet="a", changes=(CREATE,)).is_unsafe
    assert Plan(fleet="a", changes=(CREATE, DELETE)).is_unsafe
    assert Plan(fleet="a", changes=(CREATE,), unsafe=("many",)).is_unsafe


def test_a_checksum_is_of_what_would_be_done() -> None:
    one = Plan(fleet="a", changes=(CREATE,))
    assert one.checksum == replace(one, hour_max=5, notes=("n",)).checksum
    assert one.checksum != replace(one, changes=(CREATE, DELETE)).checksum
    assert as_data(one)["checksum"] == one.checksum


def test_logins_and_volumes_are_known_by_name() -> None:
    volume = Volume.model_validate({"id": "v", "name": "m", "size": 10, "dataCenter": "EU"})
    world = World(registries=(Registry(id="r", name="hub"),), volumes=(volume,))
    assert world.names == {"registry:hub": "r", "volume:m": "v"}
