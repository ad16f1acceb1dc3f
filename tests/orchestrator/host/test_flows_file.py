"""Which Flows are hosted."""

from pathlib import Path

import pytest

from orchestrator.errors import FlowUnusable
from orchestrator.host.flows_file import read_targets


def test_the_words_come_first_then_those_of_the_file(tmp_path: Path) -> None:
    """A path in the file begins where the file is; a module is one anywhere."""
    file = tmp_path / "flows.yaml"
    file.write_text("flows:\n  - my.flow:A\n  - sub/triage.py:B\n  - other.py:C\n")
    assert read_targets(["own.flow:D"], file) == (
        "own.flow:D",
        "my.flow:A",
        f"{tmp_path}/sub/triage.py:B",
        f"{tmp_path}/other.py:C",
    )
    assert read_targets(["own.flow:D"], None) == ("own.flow:D",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot read"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"flows: [", "is not YAML"),
        (b"flows: []", "flows: List should have at least 1 item"),
        (b"flows: [1]", r"flows\.0: Input should be a valid string"),
        (b"flow: [a:B]", "Field required|Extra inputs"),
        (b"", "file: Input should be"),
    ],
)
def test_a_file_that_lists_no_flows_is_refused_with_the_field(tmp_path: Path, text: bytes | None, problem: str) -> None:
    file = tmp_path / "flows.yaml"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(FlowUnusable, match=problem):
        read_targets([], file)


def test_no_flow_at_all_is_refused() -> None:
    with pytest.raises(FlowUnusable, match="No Flow is named"):
        read_targets([], None)
