import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.emulator.control_plane.moments import rfc3339, rfc3339_precise, seconds_of


def test_moments_are_told_in_utc() -> None:
    assert rfc3339(1_795_348_800.9) == "2026-11-22T12:00:00Z"
    assert rfc3339_precise(1_795_348_800.5) == "2026-11-22T12:00:00.500000Z"


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00Z", "2026-11-22T13:00:00+01:00", "2026-11-22t12:00:00Z"])
def test_an_offset_is_understood(text: str) -> None:
    assert seconds_of(text) == 1_795_348_800


@pytest.mark.parametrize("text", ["", "2026-11-22", "2026-11-22T12:00:00", "tomorrow"])
def test_what_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        seconds_of(text)


@given(st.floats(0, 4e9))
def test_a_precise_moment_comes_back_as_it_was_told(seconds: float) -> None:
    told = rfc3339_precise(seconds)
    assert rfc3339_precise(seconds_of(told)) == told
