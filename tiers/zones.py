"""Time zones by their IANA names, as the system knows them."""

from difflib import get_close_matches
from zoneinfo import available_timezones

from tiers.problems import TEXT_QUOTED_MAX, Refused, quoted

UTC = "UTC"
NAMED_MAX = 3
LIKENESS_MIN = 0.75
_MACHINES_OWN = "localtime"
"""A name that some systems have, for whatever their machine is set to: another zone on each."""
_EXAMPLE = "write an IANA name such as Europe/Berlin"


def time_zone(text: str) -> str:
    """The name of a time zone, such as ``Europe/Berlin``."""
    if text == UTC:
        return text
    known = available_timezones() - {_MACHINES_OWN}
    if text not in known:
        raise Refused(f"{quoted(text)} is no time zone that this system knows", remedy(text, known))
    return text


def remedy(text: str, known: set[str]) -> str:
    """What to write in place of ``text``: there are hundreds, so only those whose place looks alike are named."""
    if not known:
        return f"install the system's time zone data (tzdata), or write {UTC}"
    places = {_place(name): name for name in sorted(known)}
    near = [
        places[place]
        for place in get_close_matches(_place(text[:TEXT_QUOTED_MAX]), places, n=NAMED_MAX, cutoff=LIKENESS_MIN)
    ]
    return f"{_EXAMPLE}; did you mean {' or '.join(near)}?" if near else _EXAMPLE


def _place(name: str) -> str:
    return name.rpartition("/")[2].replace(" ", "_").casefold()
