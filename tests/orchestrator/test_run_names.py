import pytest

from orchestrator.run_names import is_run_name


@pytest.mark.parametrize("name", ["a", "0f-1:2.3_4", "x" * 128])
def test_a_run_may_be_called_so(name: str) -> None:
    assert is_run_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a b", "ä", "x" * 129, "a\n"])
def test_what_would_not_do_in_a_header_is_no_name(name: str) -> None:
    assert not is_run_name(name)
