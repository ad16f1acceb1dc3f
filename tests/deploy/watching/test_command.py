"""``tiergate-deploy monitoring``."""

from pathlib import Path

import pytest

from deploy.cli import main, parser


def test_it_says_what_it_has_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitoring", "--output", str(tmp_path)]) == 0
    paths = capsys.readouterr().out.splitlines()
    assert len(paths) == 5
    assert all(Path(path).is_file() for path in paths)


def test_runbooks_are_those_of_the_checkout_unless_told_otherwise() -> None:
    assert parser().parse_args(["monitoring", "--output", "x"]).runbooks == "docs/runbooks"


def test_a_folder_that_cannot_be_written_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "grafana").write_text("", encoding="utf-8")
    assert main(["monitoring", "--output", str(tmp_path)]) == 2
    assert "choose another --output" in capsys.readouterr().err
