"""The state file: whole or not at all, and only one at a time."""

import json
from pathlib import Path

import pytest

from deploy.fleet.errors import StateUnreadable
from deploy.fleet.state import Applying, Deployed, FleetState, exclusive, read_state, state_file, write_state
from tiers.fleet_addresses import Address, addresses_of

ONE = Deployed(id="e1", name="fleet-routing-0", type="QUEUE", url="https://api.runpod.ai/v2/e1")
TWO = Deployed(id="e2", name="fleet-routing-0", type="QUEUE", url="https://api.runpod.ai/v2/e2", adopted=True)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "tiers.fleet.json"
    state = FleetState(fleet="fleet", applying=Applying(plan="abc", changes={"create routing/0": "begun"}))
    state = state.with_endpoint("routing/0", ONE).with_endpoint("routing/0", TWO).progressed("create routing/0", "done")
    write_state(file, state)
    assert read_state(file) == state
    assert sorted(state.ids) == ["e1", "e2"]
    assert state.retired == {"e1": ONE}
    assert addresses_of(file.read_bytes()) == {"routing/0": Address("https://api.runpod.ai/v2/e2")}
    assert [each.name for each in tmp_path.iterdir()] == ["tiers.fleet.json"]


def test_there_is_no_state_before_the_first_apply(tmp_path: Path) -> None:
    assert read_state(tmp_path / "none.json") == FleetState()


def test_an_endpoint_that_is_gone_leaves_no_trace() -> None:
    state = FleetState().with_endpoint("a", ONE).with_endpoint("a", TWO)
    assert state.without("e1").without("e2") == FleetState()


def test_no_apply_has_no_progress() -> None:
    assert FleetState().progressed("create a", "done") == FleetState()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 2}', '{"version": 1, "endpoints": {"a": {}}}'])
def test_what_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    """It is never taken for an empty one: the endpoints in it would be made again."""
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(StateUnreadable):
        read_state(file)
    assert file.read_text() == text


def test_a_state_that_cannot_be_opened_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateUnreadable, match="cannot read"):
        read_state(tmp_path)
    with pytest.raises(StateUnreadable, match="cannot write"):
        write_state(tmp_path / "no" / "state.json", FleetState())
    with pytest.raises(StateUnreadable, match="cannot write"), exclusive(tmp_path / "no" / "state.json"):
        pass


def test_only_one_changes_a_fleet_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with (
        exclusive(file),
        pytest.raises(StateUnreadable, match="another tiergate-deploy is changing the fleet"),
        exclusive(file),
    ):
        pass
    with exclusive(file):
        write_state(file, FleetState(fleet="a"))
    assert json.loads(file.read_text())["fleet"] == "a"


def test_it_stands_beside_the_tier_map_or_where_one_says() -> None:
    assert state_file(Path("conf/tiers.yaml")) == Path("conf/tiers.fleet.json")
    assert state_file(Path("conf/tiers.yaml"), Path("/var/fleet.json")) == Path("/var/fleet.json")
