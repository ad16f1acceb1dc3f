"""One tier map with its fleet's state and the account that it is deployed to, for commands that only look."""

import argparse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.errors import BadUsage
from deploy.fleet.calls import Calls, client_of
from deploy.fleet.control_plane import RUNPOD_URL, ControlPlane
from deploy.fleet.state import FleetState, read_state, state_file
from deploy.settings import Settings
from tiers.fleet import Fleet
from tiers.load import load_fleet
from tiers.problems import TierMapInvalid

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that is known without asking, and whom to ask.

    Attributes:
        client: Sends Runpod's key with each call: to Runpod's addresses alone.
    """

    fleet: Fleet
    state: FleetState
    plane: ControlPlane
    client: httpx.AsyncClient


def add_account_options(made: argparse.ArgumentParser) -> None:
    """Add the options by which the account and its tier map are found."""
    made.add_argument("--tiers", type=Path, metavar="FILE", help="the tier map (required, or TIERGATE_TIERS)")
    made.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="the fleet's state (default: TIERGATE_FLEET_STATE, or beside the map)",
    )
    made.add_argument(
        "--runpod-key",
        metavar="REFERENCE",
        help="where Runpod's key is read (default: TIERGATE_RUNPOD_KEY, or env:RUNPOD_API_KEY)",
    )
    made.add_argument(
        "--runpod-url", metavar="URL", help=f"Runpod's REST API (default: TIERGATE_RUNPOD_URL, or {RUNPOD_URL})"
    )
    made.add_argument("--json", action="store_true", help="print JSON")


@asynccontextmanager
async def opened(arguments: argparse.Namespace, settings: Settings, say: Say) -> AsyncIterator[Account]:
    """The account, for as long as the block lasts.

    Raises:
        BadUsage: There is no tier map, it is invalid, or there is no key.
        StateUnreadable: The state is none.
    """
    told = settings.environment
    tiers = arguments.tiers or (Path(told["TIERGATE_TIERS"]) if told.get("TIERGATE_TIERS") else None)
    if tiers is None:
        raise BadUsage("no tier map", remedy="give --tiers FILE or set TIERGATE_TIERS")
    given = arguments.state or (Path(told["TIERGATE_FLEET_STATE"]) if told.get("TIERGATE_FLEET_STATE") else None)
    reference = arguments.runpod_key or told.get("TIERGATE_RUNPOD_KEY") or "env:RUNPOD_API_KEY"
    url = arguments.runpod_url or told.get("TIERGATE_RUNPOD_URL") or RUNPOD_URL
    fleet, state = _fleet(tiers), read_state(state_file(tiers, given))
    async with client_of(settings.secret(reference)) as client:
        plane = ControlPlane(Calls(client, say=say), client, url=url)
        yield Account(fleet=fleet, state=state, plane=plane, client=client)


def _fleet(tiers: Path) -> Fleet:
    try:
        return load_fleet(tiers.read_bytes(), file=str(tiers))[1]
    except OSError as error:
        raise BadUsage(f"cannot read {tiers}: {error.strerror}", remedy="check --tiers") from error
    except TierMapInvalid as error:
        raise BadUsage("\n".join(map(str, error.problems)), remedy=f"mend {tiers}") from error
