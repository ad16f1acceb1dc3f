import pytest

from tiers.problems import Refused
from tiers.zones import remedy, time_zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_iana_names_are_time_zones(name: str) -> None:
    assert time_zone(name) == name


@pytest.mark.parametrize(
    "name", ["Berlin", "Europe", "CEST", "+02:00", "", "../etc/passwd", "localtime", "europe/berlin"]
)
def test_anything_else_is_refused(name: str) -> None:
    """Also what is another zone on each machine."""
    with pytest.raises(Refused, match="no time zone that this system knows"):
        time_zone(name)


@pytest.mark.parametrize(
    ("text", "near"),
    [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("America/New York", "America/New_York")],
)
def test_the_remedy_names_the_zone_that_was_probably_meant(text: str, near: str) -> None:
    with pytest.raises(Refused) as caught:
        time_zone(text)
    assert near in caught.value.remedy.partition("did you mean ")[2]


def test_the_remedy_for_what_is_like_nothing_is_an_example() -> None:
    assert remedy("0123456789", {"Europe/Berlin"}) == "write an IANA name such as Europe/Berlin"


def test_a_system_without_time_zones_is_told_what_to_install() -> None:
    assert remedy("Europe/Berlin", set()) == "install the system's time zone data (tzdata), or write UTC"
