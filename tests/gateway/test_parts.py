"""How the parts of one process are wired."""

from pathlib import Path

from gateway.telemetry.shared import SharedSeries
from tests.gateway.composed import composed, place_of


def test_the_only_process_watches_its_own_tier_map() -> None:
    """It is the first generation, known by its hash."""
    parts = composed().parts
    assert parts.reloader is not None
    assert parts.serving.pipeline is parts.succession.current.pipeline
    assert parts.succession.current.served.generation == 1
    assert parts.succession.rejected is None


def test_one_of_several_begins_with_what_its_parent_knows(tmp_path: Path) -> None:
    """The generation in service, and that the file holds another map that is bad; the parent watches it."""
    parts = composed(place_of(SharedSeries(tmp_path, "0-1", process=3))).parts
    assert parts.reloader is None
    assert parts.succession.current.served.generation == 7
    assert parts.succession.rejected is not None
    assert parts.succession.rejected.hash == "def"


def test_no_request_id_is_given_twice() -> None:
    """Nor by another process, nor after a restart."""
    makers = [composed().parts.succession.current.pipeline for _ in range(2)]
    assert makers[0]._request_ids is not makers[1]._request_ids
    ids = [pipeline._request_ids() for pipeline in makers for _ in range(3)]
    assert len(set(ids)) == 6
