"""What was deployed on an emulator, asked layer by layer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.deployment import deploy
from deploy.local.proof import Proven, prove
from tests.deploy.emulator.running import running
from tests.deploy.emulator.worlds import KEY
from tests.tiers.fleets import deployment

pytestmark = pytest.mark.integration


async def test_each_layer_is_asked_and_what_does_not_serve_is_told(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    """Nobody runs a Flow for it."""
    file = tmp_path / "tiers.fleet.json"
    said: list[str] = []
    async with running(speed=100.0) as emulated:
        origin = emulated.emulator.origin
        await deploy([deployment()], key=KEY, origin=origin, state_file=file, say=said.append)
        nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
        proven = Proven(emulator=origin, key=KEY, gateway=nowhere, gateway_key="k", flows=nowhere)
        findings, passed = await prove([deployment()], proven, state_file=file, worker_seconds=60.0, say=said.append)
    assert not passed
    verdicts = {(one.layer, one.check): one.verdict for one in findings}
    assert verdicts["endpoint", "answers as org/model-8B"] == "passed"
    assert verdicts["endpoint", "keeps to a JSON schema"] == "passed"
    assert verdicts["gateway", "ready"] == "failed"
    assert verdicts["orchestrator", "/ping"] == "failed"
    assert not any(one.layer == "Flow" for one in findings)
