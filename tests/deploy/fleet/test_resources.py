"""Logins, volumes and secrets; see also test_apply.py beside it."""

import pytest

from deploy.fleet.change import Change
from deploy.fleet.errors import ControlPlaneConflict, ControlPlaneLost
from deploy.fleet.resources import Resources
from tests.deploy.fleet.accounts import Account
from tests.deploy.fleet.worlds import fleet
from tiers.tiermap import SecretReference


async def test_one_that_somebody_else_made_meanwhile_is_used() -> None:
    """A name is given once only: 409."""
    account, said = Account(), list[str]()
    resources = Resources(
        account.plane,
        fleet=fleet(secrets={"hf": SecretReference("env", "HF")}),
        names={},
        secret=str,
        say=said.append,
        sleep=account.naps,
    )
    change = Change(action="create", kind="secret", key="hf", name="hf")
    account.refused = {"POST secrets": 409}
    with pytest.raises(ControlPlaneConflict):
        await resources.make(change)
    account.things["secrets"]["s9"] = {"id": "s9", "name": "hf"}
    assert await resources.make(change) == "is there since: s9"


async def test_one_that_cannot_be_made_twice_over_is_told() -> None:
    """Its value is read where it is sent, and nowhere else."""
    account, read, said = Account(), list[str](), list[str]()

    def secret(reference: SecretReference) -> str:
        read.append(str(reference))
        return "v"

    resources = Resources(
        account.plane,
        fleet=fleet(secrets={"hf": SecretReference("env", "HF")}),
        names={},
        secret=secret,
        say=said.append,
        sleep=account.naps,
    )
    account.refused = {"POST secrets": 500}
    with pytest.raises(ControlPlaneLost):
        await resources.make(Change(action="create", kind="secret", key="hf", name="hf"))
    assert account.calls == ["POST secrets hf"] * 2
    assert read == ["env:HF"] * 2
    assert said == ["    no answer; looking for hf"]
