"""The commands ``tiergate-deploy plan``, ``apply``, ``adopt`` and ``destroy``."""

import argparse
import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from deploy.errors import BadUsage, DeployError
from deploy.fleet.apply import Applier, Outcome, adopted
from deploy.fleet.calls import Calls, client_of
from deploy.fleet.change import Plan, World
from deploy.fleet.control_plane import RUNPOD_URL, ControlPlane
from deploy.fleet.desired import Desired, desired
from deploy.fleet.difference import replaces
from deploy.fleet.errors import ControlPlaneMissing
from deploy.fleet.plan import make_plan, recovered, teardown
from deploy.fleet.plan_file import check_reviewed, plan_json, read_plan
from deploy.fleet.plan_text import as_markdown, as_text
from deploy.fleet.prices import todays
from deploy.fleet.state import FleetState, exclusive, read_state, state_file, write_state
from deploy.settings import Settings
from tiers.fleet import Fleet
from tiers.load import load_fleet
from tiers.problems import TierMapInvalid

COMMANDS = ("plan", "apply", "adopt", "destroy")
DRAIN_SECONDS = 600.0
CHANGES_STATUS = 3
REFUSED_STATUS = 4
EPILOG = """\
exit status:
  0    done, or nothing to do
  1    Runpod refused, or did not answer; what is done and what is left was said
  2    wrong usage, an invalid tier map, a state that cannot be used
  3    plan --check: there is something to change
  4    refused: it needs --allow-unsafe, something hinders it, or the plan is outdated
  130  interrupted (Ctrl-C); what is done and what is left was said. 143: terminated
"""
Show = Callable[[str], None]


class Refused(DeployError):
    """What was asked for is not done as it is; nothing was changed."""

    status = REFUSED_STATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that a plan is made of."""

    fleet: Fleet
    wanted: tuple[Desired, ...]
    world: World
    state: FleetState


def add_commands(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add the commands and their options."""
    plan = _command(commands, "plan", "what would be changed on Runpod, and what it costs; changes nothing")
    plan.add_argument("--out", type=Path, metavar="FILE", help="keep the plan in a file, for apply --plan")
    plan.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="how it is printed (default: text)"
    )
    plan.add_argument("--check", action="store_true", help="exit with 3 where there is something to change")
    apply = _command(commands, "apply", "make the changes of a plan, one by one")
    apply.add_argument("--plan", type=Path, metavar="FILE", help="only if it is just what this plan says")
    _add_unsafe(apply)
    adopt = _command(commands, "adopt", "take over an endpoint that somebody else made")
    adopt.add_argument("key", metavar="KEY", help="what it is: TIER/INDEX, orchestrator, batch or gateway")
    adopt.add_argument("endpoint", metavar="ID", help="Runpod's id of the endpoint")
    destroy = _command(commands, "destroy", "delete all endpoints of the fleet; without --allow-unsafe only say which")
    _add_unsafe(destroy)


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:  # noqa: ANN401 - as above
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
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
    return made


def _add_unsafe(made: argparse.ArgumentParser) -> None:
    made.add_argument("--allow-unsafe", action="store_true", help="the second word for what cannot be undone")
    made.add_argument(
        "--drain-seconds",
        type=float,
        default=DRAIN_SECONDS,
        metavar="S",
        help=f"how long an endpoint may end its requests before it is deleted (default: {DRAIN_SECONDS:g})",
    )


def run(arguments: argparse.Namespace, out: TextIO, say: Show) -> int:
    """Run one of the commands; returns its exit status.

    Raises:
        DeployError: It was not done, or not wholly.
    """
    command = None
    try:
        command = FleetCommand(arguments, Settings.read(), out, say)
        return asyncio.run(command.until_signalled())
    except DeployError as error:
        if arguments.json:
            far = Outcome(done=(), left=()) if command is None else command.outcome
            out.write(_as_json(far, error))
        raise


def _as_json(outcome: Outcome, error: DeployError | None = None) -> str:
    """How far it came, and what stopped it."""
    stopped = {"error": error.message, "remedy": error.remedy} if error is not None else {"error": None}
    return json.dumps({"done": outcome.done, "left": outcome.left, **stopped}, indent=2) + "\n"


class FleetCommand:
    """One command over one tier map and one account."""

    def __init__(self, arguments: argparse.Namespace, settings: Settings, out: TextIO, say: Show) -> None:
        self._arguments = arguments
        self._settings = settings
        self._out = out
        self._say = say
        self._applier: Applier | None = None
        told = settings.environment
        tiers = arguments.tiers or (Path(told["TIERGATE_TIERS"]) if told.get("TIERGATE_TIERS") else None)
        if tiers is None:
            raise BadUsage("no tier map", remedy="give --tiers FILE or set TIERGATE_TIERS")
        self._tiers: Path = tiers
        given = arguments.state or (Path(told["TIERGATE_FLEET_STATE"]) if told.get("TIERGATE_FLEET_STATE") else None)
        self._state_file = state_file(tiers, given)

    async def until_signalled(self) -> int:
        """Do it; the first SIGINT or SIGTERM ends it, and what is done and left is said."""
        loop = asyncio.get_running_loop()
        received: list[signal.Signals] = []
        work = loop.create_task(self._work())

        def on_signal(number: signal.Signals) -> None:
            received.append(number)
            work.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)
        try:
            return await work
        except asyncio.CancelledError:
            self._say("stopped")
            self._report()
            return 128 + received[0]

    async def _work(self) -> int:
        changes = self._arguments.command != "plan"
        with exclusive(self._state_file) if changes else nullcontext():
            async with self._plane() as plane:
                seen = await self._see(plane)
                match self._arguments.command:
                    case "plan":
                        return self._plan(seen)
                    case "adopt":
                        return await self._adopt(plane, seen)
                    case _:
                        return await self._apply(plane, seen)

    @asynccontextmanager
    async def _plane(self) -> AsyncIterator[ControlPlane]:
        told = self._settings.environment
        reference = self._arguments.runpod_key or told.get("TIERGATE_RUNPOD_KEY") or "env:RUNPOD_API_KEY"
        url = self._arguments.runpod_url or told.get("TIERGATE_RUNPOD_URL") or RUNPOD_URL
        async with client_of(self._settings.secret(reference)) as client:
            yield ControlPlane(Calls(client, say=self._say), client, url=url)

    async def _see(self, plane: ControlPlane) -> Seen:
        try:
            _, fleet = load_fleet(self._tiers.read_bytes(), file=str(self._tiers))
        except OSError as error:
            raise BadUsage(f"cannot read {self._tiers}: {error.strerror}", remedy="check --tiers") from error
        except TierMapInvalid as error:
            problems = "\n".join(map(str, error.problems))
            raise BadUsage(problems, remedy=f"mend {self._tiers}; nothing was changed") from error
        state = read_state(self._state_file)
        wanted = desired(fleet, todays(await plane.gpus(), await plane.cpus()))
        world = World(
            endpoints=await plane.endpoints(),
            registries=await plane.registries() if fleet.registry is not None else (),
            volumes=await plane.volumes() if fleet.volume is not None else (),
            secrets=await plane.secrets(),
        )
        return Seen(fleet=fleet, wanted=wanted, world=world, state=recovered(state, wanted, world))

    def _plan(self, seen: Seen) -> int:
        plan = make_plan(seen.fleet, seen.wanted, seen.world, seen.state)
        if self._arguments.out is not None:
            self._arguments.out.write_text(plan_json(plan), encoding="utf-8")
        form = "json" if self._arguments.json else self._arguments.format
        self._out.write({"json": plan_json, "markdown": as_markdown, "text": as_text}[form](plan))
        return CHANGES_STATUS if self._arguments.check and plan.changes else 0

    async def _apply(self, plane: ControlPlane, seen: Seen) -> int:
        destroys = self._arguments.command == "destroy"
        if destroys:
            plan = teardown(seen.state.fleet or seen.fleet.name, seen.world, seen.state)
        else:
            plan = make_plan(seen.fleet, seen.wanted, seen.world, seen.state)
        checksum = plan.checksum
        reviewed_unsafe = plan.is_unsafe
        if not destroys and self._arguments.plan is not None:
            reviewed = read_plan(self._arguments.plan)
            check_reviewed(reviewed, plan, seen.state)
            checksum, reviewed_unsafe = reviewed.checksum, reviewed.is_unsafe or plan.is_unsafe
        if not self._arguments.json:
            self._out.write(as_text(plan))
            self._out.flush()
        self._refuse(plan, unsafe=reviewed_unsafe)
        if not plan.changes:
            write_state(self._state_file, replace(seen.state, fleet=plan.fleet, applying=None))
            self._report()
            return 0
        self._applier = Applier(
            plane,
            self._state_file,
            fleet=seen.fleet,
            names=seen.world.names,
            secret=lambda reference: self._settings.secret(str(reference)),
            say=self._say,
            drain_seconds=self._arguments.drain_seconds,
        )
        outcome = await self._applier.run(plan, seen.state, checksum=checksum)
        if outcome.error is not None:
            self._say_progress()
            raise outcome.error
        self._report()
        return 0

    def _refuse(self, plan: Plan, *, unsafe: bool) -> None:
        if plan.obstacles and plan.changes:
            text = "\n".join(one.message for one in plan.obstacles)
            raise Refused(text, remedy="; ".join(dict.fromkeys(one.remedy for one in plan.obstacles)))
        if unsafe and plan.changes and not self._arguments.allow_unsafe:
            raise Refused(
                "the plan holds what cannot be undone; nothing was changed",
                remedy="look at what is marked UNSAFE; then give the same command with --allow-unsafe",
            )

    @property
    def outcome(self) -> Outcome:
        """How far it is."""
        if self._applier is None:
            return Outcome(done=(), left=())
        return Outcome(done=tuple(self._applier.done), left=tuple(self._applier.left))

    def _report(self) -> None:
        """Say how far it came."""
        if self._arguments.json:
            self._out.write(_as_json(self.outcome))
        else:
            self._say_progress()

    def _say_progress(self) -> None:
        if self.outcome.done or self.outcome.left:
            self._say(f"done: {_listed(self.outcome.done)}")
            self._say(f"left: {_listed(self.outcome.left)}")

    async def _adopt(self, plane: ControlPlane, seen: Seen) -> int:
        key, endpoint_id = self._arguments.key, self._arguments.endpoint
        wanted = next((one for one in seen.wanted if one.key == key), None)
        if wanted is None:
            known = ", ".join(one.key for one in seen.wanted) or "nothing"
            raise BadUsage(f"the tier map deploys no {key}", remedy=f"it deploys {known}")
        try:
            found = await plane.endpoint(endpoint_id)
        except ControlPlaneMissing as error:
            raise BadUsage(f"the account has no endpoint {endpoint_id}", remedy="check the id") from error
        there = {one.id for one in seen.world.endpoints}
        before = seen.state.endpoints.get(key)
        if before is not None and before.id in there and before.id != endpoint_id:
            raise Refused(f"{key} is {before.id} already", remedy="delete that one first, or adopt under another key")
        if (endpoint_id in seen.state.ids) and (before is None or before.id != endpoint_id):
            raise Refused(f"{endpoint_id} is the fleet's already", remedy="see the state for what it is")
        why = replaces(found, wanted)
        if why:
            raise Refused(f"{endpoint_id} cannot become {key}: {why}", remedy="let it be, and have another one made")
        base = seen.state if before is None else seen.state.without(before.id)
        state = adopted(replace(base, fleet=base.fleet or seen.fleet.name), wanted, found)
        write_state(self._state_file, state)
        if self._arguments.json:
            self._out.write(json.dumps({"adopted": {"key": key, "id": endpoint_id, "name": found.name}}) + "\n")
        self._say(f"{found.name} ({endpoint_id}) is {key} now; `tiergate-deploy plan` says what would be changed on it")
        return 0


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "nothing"
