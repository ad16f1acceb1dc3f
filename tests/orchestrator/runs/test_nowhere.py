"""Nothing is kept there."""

from orchestrator.runs.nowhere import Nowhere


def test_what_is_saved_is_not_there() -> None:
    nowhere = Nowhere()
    nowhere.init_db()
    nowhere.save_state("run", "step", {"a": 1})
    assert nowhere.load_state("run") is None
    assert nowhere.load_pending_feedback("run") is None
