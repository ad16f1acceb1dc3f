"""The command ``tiergate-deploy verify``."""

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, TextIO

import httpx

from deploy.account import Account, add_account_options, opened
from deploy.errors import BadUsage
from deploy.fleet.calls import client_of
from deploy.settings import Settings
from deploy.verify.course import Course
from deploy.verify.finding import Finding
from deploy.verify.shown import as_json, line, summary
from deploy.verify.verification import Above, verify
from deploy.verify.waiting import Clockwork, Patience

WAIT_SECONDS = Patience().worker
CALL_SECONDS = 330.0
"""For one call: as long as Runpod's edge lets one last at most."""
DESCRIPTION = """\
Ask a deployed fleet whether it serves, from the bottom up: Runpod's control plane,
each tier's endpoint (a worker, an answer under the served name, a stream with
usage, a tool call, a JSON schema), the gateway, the orchestrator, one Flow. What
fails below is not looked for above. It wakes workers, which costs some seconds of
each GPU.
"""
EPILOG = """\
exit status:
  0    nothing failed
  1    a check failed; it was said where, what was seen, and what to do
  2    wrong usage, an invalid tier map, a state or key that cannot be read
  130  interrupted (Ctrl-C); 143: terminated

examples:
  tiergate-deploy verify --tiers tiers.yaml
  tiergate-deploy verify --tiers tiers.yaml --gateway https://llm.example.com --flow SupportTriageFlow
"""


def add_command(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Add the command and its options."""
    made: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="whether what is deployed serves, and if not, which layer does not",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_account_options(made)
    made.add_argument("--gateway", metavar="URL", help="the gateway's address (default: TIERGATE_URL)")
    made.add_argument("--gateway-key", metavar="REFERENCE", help="where its key is read (default: env:TIERGATE_KEY)")
    made.add_argument("--orchestrator", metavar="URL", help="the orchestrator's address (default: the deployed one's)")
    made.add_argument(
        "--app-token", metavar="REFERENCE", help="where the orchestrator's token is read (default: TIERGATE_APP_TOKEN)"
    )
    made.add_argument("--flow", default="", metavar="NAME", help="a Flow that may be run; without it none is")
    made.add_argument("--inputs", metavar="JSON", help="its inputs, as a JSON object")
    made.add_argument(
        "--wait-seconds",
        type=float,
        default=WAIT_SECONDS,
        metavar="S",
        help=f"how long a worker may take to come (default: {WAIT_SECONDS:g})",
    )


def run(arguments: argparse.Namespace, out: TextIO, say: Callable[[str], None]) -> int:
    """Run the command; returns its exit status. Findings go to ``out``, progress to ``say``.

    Raises:
        DeployError: It cannot be begun.
    """
    return asyncio.run(_until_signalled(arguments, Settings.read(), out, say))


async def _until_signalled(
    arguments: argparse.Namespace, settings: Settings, out: TextIO, say: Callable[[str], None]
) -> int:
    """The first SIGINT or SIGTERM ends it."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []
    work = loop.create_task(_verify(arguments, settings, out, say))

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await work
    except asyncio.CancelledError:
        say("stopped")
        return 128 + received[0]


async def _verify(arguments: argparse.Namespace, settings: Settings, out: TextIO, say: Callable[[str], None]) -> int:
    clock = asyncio.get_running_loop().time

    def tell(finding: Finding) -> None:
        if not arguments.json:
            out.write(line(finding) + "\n")
            out.flush()

    course = Course(tell, clock)
    patience = Patience.of(arguments.wait_seconds)
    async with opened(arguments, settings, say) as account, AsyncExitStack() as clients:
        account.client.timeout = httpx.Timeout(CALL_SECONDS)
        above = await _above(arguments, settings, account, clients)
        await verify(account, above, course, patience, Clockwork(clock=clock, sleep=asyncio.sleep, say=say))
    out.write(as_json(course.findings) if arguments.json else summary(course.findings) + "\n")
    return 0 if course.passed else 1


async def _above(arguments: argparse.Namespace, settings: Settings, account: Account, clients: AsyncExitStack) -> Above:
    told = settings.environment
    gateway = arguments.gateway or told.get("TIERGATE_URL") or ""
    key = settings.secret(arguments.gateway_key or "env:TIERGATE_KEY") if gateway else ""
    gateway_client = await clients.enter_async_context(client_of(key, seconds=CALL_SECONDS))
    deployed = account.state.endpoints.get("orchestrator")
    token = arguments.app_token or ("env:TIERGATE_APP_TOKEN" if told.get("TIERGATE_APP_TOKEN") else "")
    headers = {"x-tiergate-token": settings.secret(token)} if token else {}
    if deployed is not None and not arguments.orchestrator:
        # Runpod's edge asks for the account's key; nobody else is shown it.
        headers["authorization"] = account.client.headers["authorization"]
    client = httpx.AsyncClient(headers=headers, timeout=CALL_SECONDS)
    return Above(
        gateway=gateway,
        gateway_client=gateway_client,
        orchestrator=arguments.orchestrator or (deployed.url if deployed is not None else ""),
        orchestrator_client=await clients.enter_async_context(client),
        flow=arguments.flow,
        inputs=_inputs(arguments.inputs),
    )


def _inputs(text: str | None) -> Any:  # noqa: ANN401 - JSON is whatever was given
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise BadUsage(f"--inputs is no JSON: {error}", remedy="give a JSON object in quotes") from error
