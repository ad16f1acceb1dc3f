"""How a command finds its tier map, its state and its account."""

import argparse
import json
from pathlib import Path

import pytest

from deploy.account import Account, add_account_options, opened
from deploy.errors import BadUsage
from deploy.fleet.state import FleetState, write_state
from deploy.settings import Settings
from tests.deploy.verify.test_command import tier_map


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_account_options(parser)
    return parser.parse_args(words)


async def open_with(environment: dict[str, str], *words: str) -> Account:
    async with opened(asked(*words), Settings(environment=environment), print) as account:
        return account


@pytest.fixture
def tiers(tmp_path: Path) -> Path:
    file = tmp_path / "tiers.yaml"
    file.write_text(json.dumps(tier_map("good")), encoding="utf-8")
    return file


async def test_options_go_before_the_environment(tiers: Path, tmp_path: Path) -> None:
    state = tmp_path / "other.json"
    write_state(state, FleetState(fleet="other"))
    environment = {"TIERGATE_TIERS": "nowhere", "TIERGATE_FLEET_STATE": "nowhere", "MY_KEY": "k", "RUNPOD_API_KEY": "l"}
    account = await open_with(environment, "--tiers", str(tiers), "--state", str(state), "--runpod-key", "env:MY_KEY")
    assert account.state.fleet == "other"
    assert account.client.headers["authorization"] == "Bearer k"
    assert [one.key for one in account.fleet.deployments] == ["good/0"]


async def test_the_environment_is_enough(tiers: Path) -> None:
    account = await open_with({"TIERGATE_TIERS": str(tiers), "RUNPOD_API_KEY": "l"})
    assert account.client.headers["authorization"] == "Bearer l"
    assert account.state == FleetState()


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot read"), ("version: 1\ntiers: {}\n", "tiers"), ("tiers: [", "tiers.yaml:")]
)
async def test_a_tier_map_that_cannot_be_used_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "tiers.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BadUsage, match=message):
        await open_with({"RUNPOD_API_KEY": "l"}, "--tiers", str(file))


async def test_without_a_tier_map_nothing_is_asked() -> None:
    with pytest.raises(BadUsage, match="no tier map"):
        await open_with({})
