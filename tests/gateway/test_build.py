import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from gateway.build import build


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python imports from."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_that_python_takes_from_its_source_is_interpreted(folder: Path) -> None:
    (folder / "told_by_source.py").touch()
    assert build("told_by_source") == "interpreted"


def test_a_module_is_compiled_where_an_extension_stands_beside_its_source(folder: Path) -> None:
    (folder / "told_by_extension.py").touch()
    (folder / f"told_by_extension{EXTENSION_SUFFIXES[0]}").touch()
    assert build("told_by_extension") == "compiled"
    assert "told_by_extension" not in sys.modules


def test_by_default_it_tells_of_what_every_request_goes_through() -> None:
    import gateway.pipeline  # noqa: PLC0415 - to see what Python imports

    source = gateway.pipeline.__file__.endswith(".py")
    assert build() == ("interpreted" if source else "compiled")


def test_a_module_that_is_not_there_is_neither() -> None:
    with pytest.raises(ModuleNotFoundError, match="told_by_nobody"):
        build("told_by_nobody")
