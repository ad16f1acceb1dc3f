"""Tiers on an emulator, made as they are made on Runpod."""

from pathlib import Path
from types import MappingProxyType

import pytest

from deploy.errors import EmulatorRefused
from deploy.fleet.state import read_state
from deploy.local.deployment import deploy, on_one_machine
from tests.deploy.emulator.running import running
from tests.deploy.emulator.worlds import KEY
from tests.tiers.fleets import deployment


def test_on_one_machine_there_are_no_places_and_no_secrets() -> None:
    env = MappingProxyType({"SEED": "1", "HUGGING_FACE_HUB_TOKEN": "{{ RUNPOD_SECRET_hf }}"})
    one = on_one_machine(deployment(env=env, data_centers=("EU-RO-1",), workers_min=2))
    assert (dict(one.env), one.data_centers, one.workers_min, one.idle_seconds) == ({"SEED": "1"}, (), 0, 60)


@pytest.mark.integration
async def test_all_are_made_and_what_an_earlier_start_had_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "state" / "tiers.fleet.json"
    file.parent.mkdir()
    file.write_text("of an earlier version")
    said: list[str] = []
    async with running(speed=1.0) as emulated:
        origin = emulated.emulator.origin
        made = await deploy([deployment()], key=KEY, origin=origin, state_file=file, say=said.append)
        assert made == read_state(file).endpoints
        [endpoint] = emulated.world.endpoints.values()
        assert made["routing/0"].url == f"{origin}/v2/{endpoint.id}"
        assert endpoint.config.served_model == "org/model-8B"
        assert said == ["plan: 1 to make; on Runpod it would cost $3.35 an hour at most"]


@pytest.mark.integration
async def test_what_the_emulator_refuses_is_told(tmp_path: Path) -> None:
    async with running(speed=1.0) as emulated:
        with pytest.raises(EmulatorRefused, match="does not exist"):
            await deploy(
                [deployment(image="runpod/worker-v1-vllm:2.25.2")],
                key=KEY,
                origin=emulated.emulator.origin,
                state_file=tmp_path / "s.json",
                say=list[str]().append,
            )
