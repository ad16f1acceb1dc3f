"""Where deployed endpoints are: the addresses that the deploy tool keeps, and how they go with a tier map's text.

An endpoint that is deployed from the tier map has no ``url`` there. The deploy tool writes a state file beside the map,
``tiers.fleet.json`` beside ``tiers.yaml``; whoever serves the map reads the addresses from it and hands them on as the
text's last line, a comment, so that all processes that are given the text know the same ones. With each goes the name
under which the endpoint serves its model: where the map has a new one, that is true only when another endpoint has been
made, and until then requests go to the one that there is, under its name.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tiers.addresses import endpoint_url
from tiers.problems import Refused


class Address(NamedTuple):
    """Where a deployed endpoint is, and the name under which it serves its model: empty where that is not known."""

    url: str
    model: str = ""


_MARK: Final = b"\n# deployed by tiergate-deploy: "
_REMEDY: Final = "run `tiergate-deploy apply`, or put the last good copy of the state in its place"


def state_file(tiers_file: Path, given: Path | None = None) -> Path:
    """Where the fleet's state is kept: as ``given``, else beside the tier map."""
    return given or tiers_file.with_suffix(".fleet.json")


def addresses_of(state: str | bytes) -> dict[str, Address]:
    """The addresses in a state's text, by the endpoints' names in the tier map (``routing/0``).

    Raises:
        Refused: It is no such text.
    """
    try:
        told = json.loads(state)
        found = {str(name): _address(one) for name, one in told["endpoints"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused("the fleet's state cannot be read", _REMEDY) from None
    return found


def _address(one: Mapping[str, Any]) -> Address:
    return Address(endpoint_url(str(one["url"])), str(one.get("model", "")))


def with_addresses(text: bytes, addresses: Mapping[str, Address]) -> bytes:
    """A tier map's text and the addresses of its deployed endpoints; the text itself where there are none."""
    if not addresses:
        return text
    return text + _MARK + json.dumps(dict(sorted(addresses.items())), ensure_ascii=True).encode() + b"\n"


def addresses_in(text: str | bytes) -> dict[str, Address]:
    """The addresses that go with a tier map's text; none where none do."""
    data = text.encode() if isinstance(text, str) else text
    _, mark, line = data.rpartition(_MARK)
    if not mark or line.count(b"\n") != 1 or not line.endswith(b"\n"):
        return {}
    try:
        return {name: Address(str(url), str(model)) for name, (url, model) in json.loads(line).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
