"""What an endpoint is and what it should be."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.fleet.difference import HIDDEN, difference, fingerprint, replaces, resolved, shown
from tests.deploy.fleet.worlds import app, fleet, there, wanted
from tests.tiers.fleets import deployment
from tiers.fleet import RegistryLogin, Scaling, Volume

[WANTED] = wanted(fleet())
SERVED = "OPENAI_SERVED_MODEL_NAME_OVERRIDE"


def test_what_was_made_as_wanted_differs_in_nothing() -> None:
    """Whatever Runpod adds: memory, empty lists, nulls where nothing was said."""
    told: dict[str, Any] = {"args": None, "ports": None, "dataCenterIds": None, "networkVolumes": None}
    assert difference(there(WANTED, "e1", **told), WANTED, {}).send == {}
    [cpu] = [one for one in wanted(fleet(apps=(app(),))) if one.key == "orchestrator"]
    assert difference(there(cpu, "e2"), cpu, {}).send == {}


@pytest.mark.parametrize(
    ("told", "sent", "changes", "rolls"),
    [
        ({"timeout": 0}, ["timeout"], [("timeout", "0", "600000")], False),
        (
            {"workers": {"min": 0, "max": 0, "idleTimeout": 10}},
            ["workers"],
            [("workers.max", "0", "3")],
            False,
        ),
        ({"image": "old:1"}, ["image"], [("image", "old:1", "runpod/worker-v1-vllm:v2.25.2")], True),
        ({"disk": 20}, ["disk"], [("disk", "20", "70")], True),
        ({"name": "other"}, ["name"], [("name", "other", "acme-routing-0")], False),
    ],
)
def test_only_what_differs_is_sent(
    told: dict[str, Any], sent: list[str], changes: list[tuple[str, str, str]], rolls: bool
) -> None:
    found = difference(there(WANTED, "e1", **told), WANTED, {})
    assert list(found.send) == sent
    assert [(one.field, one.before, one.after) for one in found.fields] == changes
    assert (found.rolls, found.regrouped) == (rolls, False)


def test_an_environment_is_told_by_variable_and_secrets_are_hidden() -> None:
    env = {**WANTED.body["env"], "HF_TOKEN": "hf_very_secret", "MAX_MODEL_LEN": "8192"}
    found = difference(there(WANTED, "e1", env=env), WANTED, {})
    assert found.send == {"env": WANTED.body["env"]}
    assert [(one.field, one.before, one.after) for one in found.fields] == [
        ("env.HF_TOKEN", HIDDEN, "none"),
        ("env.MAX_MODEL_LEN", "8192", "16384"),
    ]
    assert "hf_very_secret" not in repr(found)
    reference = "{{ RUNPOD_SECRET_hf }}"
    assert shown("env.HF_TOKEN", reference) == reference
    assert shown("args", "x" * 300) == "x" * 200 + "…"


def test_another_class_of_gpu_is_told_and_other_ways_to_bound_cuda_are_cleared() -> None:
    gpu = {"pools": ["AMPERE_80"], "count": 1, "allowedCudaVersions": ["12.8"], "excludedTypes": ["x"]}
    found = difference(there(WANTED, "e1", gpu=gpu), WANTED, {})
    assert found.regrouped
    assert found.send["gpu"] == {
        "pools": ["ADA_24"],
        "count": 1,
        "minCudaVersion": "13.0",
        "allowedCudaVersions": [],
    }


def test_names_of_logins_and_volumes_stand_for_their_ids() -> None:
    one = fleet(registry=RegistryLogin(name="hub"), volume=Volume(name="models", size_gb=50, data_center="EU"))
    [want] = wanted(one)
    names = {"registry:hub": "r1", "volume:models": "v1"}
    assert difference(there(want, "e1", names), want, names).send == {}
    found = difference(there(want, "e1", registry=None, networkVolumes=[]), want, names)
    assert found.send == {"registry": "registry:hub", "networkVolumes": ["volume:models"]}
    assert resolved(found.send, names) == {"registry": "r1", "networkVolumes": ["v1"]}
    assert resolved(found.send, {}) == found.send


def test_type_and_family_cannot_change() -> None:
    [balanced] = wanted(fleet(deployment(type="LOAD_BALANCER", scaling=Scaling(requests=3))))
    assert replaces(there(WANTED, "e1"), balanced) == "its type changes from QUEUE to LOAD_BALANCER"
    cpu = there(WANTED, "e1", gpu=None, cpu=[{"id": "cpu3c", "vcpuCount": 2}])
    assert replaces(cpu, WANTED) == "its workers change from CPU to GPU"
    assert replaces(there(WANTED, "e1"), WANTED) == ""


def test_another_served_name_takes_another_endpoint() -> None:
    """While its workers are replaced, each would refuse what is asked under the other's name; other weights may come
    under the same one.
    """
    env = WANTED.body["env"]
    renamed = replace(WANTED, body={**WANTED.body, "env": {**env, SERVED: "another"}})
    why = f"the name under which it serves its model changes from {env[SERVED]} to another"
    assert replaces(there(WANTED, "e1"), renamed, served=env[SERVED]) == why
    assert replaces(there(WANTED, "e1"), renamed) == "", "nobody sends requests to it yet"
    reweighed = replace(WANTED, body={**WANTED.body, "env": {**env, "MODEL_NAME": "m"}})
    assert replaces(there(WANTED, "e1"), reweighed, served=env[SERVED]) == ""


def test_a_fingerprint_is_of_what_we_speak_of() -> None:
    first = fingerprint(there(WANTED, "e1"), WANTED)
    assert fingerprint(there(WANTED, "e1", createdAt="now"), WANTED) == first
    assert fingerprint(there(WANTED, "e1", timeout=1), WANTED) != first
    assert fingerprint(there(WANTED, "e2"), WANTED) != first
