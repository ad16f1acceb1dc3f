"""What has to run on this machine for one tier map: decided from values, nothing is started here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.errors import BadUsage
from deploy.local.deployment import on_one_machine
from deploy.local.endpoints import IDLE_SECONDS, QUEUE_DELAY_SECONDS
from deploy.local.ports import HOST, Port
from deploy.settings import DEMO_KEY_VARIABLE
from tiers.fleet import WORKER_IMAGE, Deployment, Fleet, Scaling
from tiers.fleet_addresses import state_file
from tiers.gpus import catalogue
from tiers.runpod_urls import health_base
from tiers.tiermap import Endpoint, SecretReference, Tier, TierMap

_LOCAL_HOSTS = frozenset({HOST, "localhost"})
_HTTP_PORT = 80
_DEFAULT_GPU = "RTX 4090"
EMULATOR_PORT = 8090
DRAIN_SECONDS = 10
"""How long the gateway lets open answers go on when it is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """One endpoint of the tier map that is to be made on the emulator."""

    address: str
    """Its base URL in the given tier map, ``http://127.0.0.1:<port>/v2/<any id>``; the real id is the emulator's. Empty
    where the map has it deployed: the gateway then has its address from the deploy tool's state."""
    deployment: Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The whole local system for one tier map."""

    tiers_file: Path
    state_directory: Path
    """Where the gateway's embedded store keeps its data, logs are kept, and the tier map with real ids is written."""
    emulated: tuple[Emulated, ...]
    emulator_port: int
    emulator_remedy: str
    """How to give the emulator another port."""
    gateway_port: int
    run_budgets: frozenset[str]
    """The budgets of which each run of a Flow has its own."""
    example_model: str
    """A name that the key may send as ``model``."""
    emulator_secrets: tuple[str, ...]
    """Environment variables that hold the emulator's key."""
    all_secrets: tuple[str, ...]
    """Every environment variable that the tier map names."""

    @property
    def origin(self) -> str:
        """The gateway's address without a path."""
        return f"http://{HOST}:{self.gateway_port}"

    @property
    def base_url(self) -> str:
        """The gateway's address as OpenAI clients want it."""
        return f"{self.origin}/v1"

    @property
    def emulator_origin(self) -> str:
        """The emulator's address without a path."""
        return f"http://{HOST}:{self.emulator_port}"

    @property
    def logs(self) -> Path:
        """Where the children's logs are."""
        return self.state_directory / "logs"

    @property
    def written_tiers_file(self) -> Path:
        """Where the tier map is written that the gateway reads."""
        return self.state_directory / "tiers.yaml"

    @property
    def fleet_state_file(self) -> Path:
        """Where the addresses of deployed endpoints are kept, for the gateway to read."""
        return state_file(self.written_tiers_file)

    @property
    def gateway_arguments(self) -> tuple[str, ...]:
        """The gateway's command line after its program."""
        return (
            "serve",
            *("--tiers", str(self.written_tiers_file)),
            *("--host", HOST),
            *("--port", str(self.gateway_port)),
            *("--state-directory", str(self.state_directory)),
            *("--drain-seconds", str(DRAIN_SECONDS)),
        )

    @property
    def ports(self) -> Sequence[Port]:
        """Every port that has to be free."""
        return (
            Port(number=self.gateway_port, purpose="gateway", remedy="give the gateway another one with --port"),
            Port(
                number=self.emulator_port,
                purpose="emulator",
                remedy=self.emulator_remedy,
            ),
        )


def layout_for(
    tier_map: TierMap,
    fleet: Fleet,
    *,
    tiers_file: Path,
    state_directory: Path,
    gateway_port: int,
    emulator_port: int = EMULATOR_PORT,
) -> Layout:
    """What has to run for ``tier_map``: the emulator with each endpoint that ``fleet`` deploys, and a queue endpoint
    for each of the map's on this machine; and the gateway. ``emulator_port`` is where no URL names another.

    Raises:
        BadUsage: The tier map has no key ``env:TIERGATE_DEMO_KEY``, so that the Flow could not call the
            gateway; or it has no endpoint on the emulator, or one that cannot be made there.
    """
    demo_key = next((key for key in tier_map.keys if _variable(key.secret) == DEMO_KEY_VARIABLE), None)
    if demo_key is None:
        raise BadUsage(
            f"{tiers_file} has no key that is read from {DEMO_KEY_VARIABLE}",
            remedy=f"add to its keys: - {{name: demo, key: env:{DEMO_KEY_VARIABLE}}}",
        )
    allowed = [name for name in tier_map.tiers if demo_key.tiers is None or name in demo_key.tiers]
    deployed = {one.key: on_one_machine(one) for one in fleet.deployments}
    found = [
        (tier, endpoint, address)
        for tier in tier_map.tiers.values()
        for endpoint in tier.endpoints
        if (address := _emulated_address(endpoint.url)) or endpoint.name in deployed
    ]
    ports = {urlsplit(address).port or _HTTP_PORT for _, _, address in found if address}
    if not ports and deployed:
        ports = {emulator_port}
    if len(ports) != 1:
        where = f"on ports {', '.join(map(str, sorted(ports)))}" if ports else "nowhere"
        raise BadUsage(
            f"the endpoints that {tiers_file} has on Runpod's emulator are {where}",
            remedy="give the endpoints of at least one tier `deploy: {}` in place of a URL, or all URLs the same port",
        )
    secrets = [endpoint.api_key for tier in tier_map.tiers.values() for endpoint in tier.endpoints]
    return Layout(
        tiers_file=tiers_file,
        state_directory=state_directory,
        emulated=tuple(
            Emulated(
                address=address,
                deployment=_with_key(deployed.get(endpoint.name) or _queue(tier, endpoint), endpoint, tiers_file),
            )
            for tier, endpoint, address in found
        ),
        emulator_port=ports.pop(),
        emulator_remedy=f"change the endpoints' URLs in {tiers_file}"
        if any(address for _, _, address in found)
        else "give the emulator another one with --emulator-port",
        gateway_port=gateway_port,
        run_budgets=frozenset(budget.name for budget in tier_map.budgets if budget.owner.kind == "run"),
        example_model=allowed[0],
        emulator_secrets=_variables([endpoint.api_key for _, endpoint, _ in found]),
        all_secrets=_variables([*secrets, *(key.secret for key in tier_map.keys)]),
    )


def with_real_addresses(text: str, addresses: Mapping[str, str]) -> str:
    """A tier map's text in which each of these base URLs is replaced; all else stays as it was written."""
    for written, real in addresses.items():
        text = re.sub(rf"{re.escape(written)}(?![\w-])", real, text)
    return text


def _emulated_address(url: str) -> str:
    """The base URL of an endpoint with a queue on this machine's emulator; empty where it is something else."""
    base = health_base(url) or ""
    parts = urlsplit(base)
    local = parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS
    return base if local and url.startswith(base) else ""


def _queue(tier: Tier, endpoint: Endpoint) -> Deployment:
    """What stands behind an endpoint on this machine whose URL the tier map has."""
    gpu = tier.gpu or catalogue()[_DEFAULT_GPU]
    return Deployment(
        key=endpoint.name,
        tier=tier.name,
        type="QUEUE",
        image=WORKER_IMAGE,
        model=tier.model,
        repository=tier.model,
        context=tier.context,
        slots=endpoint.workers.slots,
        gpus=(gpu,),
        gpu_count=tier.gpu_count,
        workers_max=endpoint.workers.max,
        idle_seconds=IDLE_SECONDS,
        scaling=Scaling(queue_delay=QUEUE_DELAY_SECONDS),
        timeout_seconds=tier.timeouts.total,
    )


def _with_key(deployment: Deployment, endpoint: Endpoint, tiers_file: Path) -> Deployment:
    """The deployment, once it is sure that the gateway can be told the emulator's key for it."""
    if not _variable(endpoint.api_key):
        raise BadUsage(
            f"the emulator's key for endpoint {endpoint.name} is not read from the environment",
            remedy=f"give the endpoint in {tiers_file}: api_key: env:RUNPOD_API_KEY",
        )
    return deployment


def _variables(references: Sequence[SecretReference | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_variable, references))))


def _variable(reference: SecretReference | None) -> str:
    return reference.name if reference is not None and reference.scheme == "env" else ""
