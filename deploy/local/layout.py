"""What has to run on this machine for one tier map: decided from values, nothing is started here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.errors import BadUsage
from deploy.local.ports import HOST, Port
from deploy.settings import DEMO_KEY_VARIABLE
from tiers.tiermap import Endpoint, Tier, TierMap

_LOCAL_HOSTS = frozenset({HOST, "localhost"})
_HTTP_PORT = 80
DRAIN_SECONDS = 10
"""How long the gateway lets open answers go on when it is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLayout:
    """One engine to start: what serves one local endpoint of a tier."""

    endpoint: str
    tier: str
    model: str
    port: int
    slots: int
    """Requests at once: the endpoint's share of the tier's slots."""
    context: int
    api_key: str = ""
    """The reference of its key (``env:NAME`` or ``file:PATH``), empty where the tier map gives none."""

    @property
    def name(self) -> str:
        """The engine's name in messages and of its log file."""
        return f"engine-{self.endpoint.replace('/', '-')}"

    @property
    def health_url(self) -> str:
        """Where the engine says that its model is loaded."""
        return f"http://{HOST}:{self.port}/health"

    @property
    def arguments(self) -> tuple[str, ...]:
        """The engine's command line after its program."""
        words = {
            "--model": self.model,
            "--port": str(self.port),
            "--slots": str(self.slots),
            "--context": str(self.context),
        }
        if self.api_key:
            words["--api-key"] = self.api_key
        return tuple(word for pair in words.items() for word in pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The whole local system for one tier map."""

    tiers_file: Path
    state_directory: Path
    """Where the gateway's embedded store keeps its data, and logs are kept."""
    engines: tuple[EngineLayout, ...]
    gateway_port: int
    run_budgets: frozenset[str]
    """The budgets of which each run of a Flow has its own."""
    example_model: str
    """A name that the key may send as ``model``."""
    local_secrets: tuple[str, ...]
    """Environment variables with keys of engines that are started here."""
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
    def logs(self) -> Path:
        """Where the children's logs are."""
        return self.state_directory / "logs"

    @property
    def gateway_arguments(self) -> tuple[str, ...]:
        """The gateway's command line after its program."""
        return (
            "serve",
            *("--tiers", str(self.tiers_file)),
            *("--host", HOST),
            *("--port", str(self.gateway_port)),
            *("--state-directory", str(self.state_directory)),
            *("--drain-seconds", str(DRAIN_SECONDS)),
        )

    @property
    def ports(self) -> Sequence[Port]:
        """Every port that has to be free."""
        gateway = Port(number=self.gateway_port, purpose="gateway", remedy="give the gateway another one with --port")
        return (
            gateway,
            *(
                Port(
                    number=engine.port,
                    purpose=f"engine of endpoint {engine.endpoint}",
                    remedy=f"change the URL of endpoint {engine.endpoint} in {self.tiers_file}",
                )
                for engine in self.engines
            ),
        )


def layout_for(tier_map: TierMap, *, tiers_file: Path, state_directory: Path, gateway_port: int) -> Layout:
    """What has to run for ``tier_map``: an engine for every endpoint on this machine, and the gateway.

    Raises:
        BadUsage: The tier map has no key ``env:TIERGATE_DEMO_KEY``, so that the Flow could not call the
            gateway.
    """
    demo_key = next((key for key in tier_map.keys if _variable(str(key.secret)) == DEMO_KEY_VARIABLE), None)
    if demo_key is None:
        raise BadUsage(
            f"{tiers_file} has no key that is read from {DEMO_KEY_VARIABLE}",
            remedy=f"add to its keys: - {{name: demo, key: env:{DEMO_KEY_VARIABLE}}}",
        )
    allowed = [name for name in tier_map.tiers if demo_key.tiers is None or name in demo_key.tiers]
    engines = tuple(
        _engine(tier, endpoint)
        for tier in tier_map.tiers.values()
        for endpoint in tier.endpoints
        if _is_local(endpoint)
    )
    secrets = [str(endpoint.api_key) for tier in tier_map.tiers.values() for endpoint in tier.endpoints]
    secrets += [str(key.secret) for key in tier_map.keys]
    return Layout(
        tiers_file=tiers_file,
        state_directory=state_directory,
        engines=engines,
        gateway_port=gateway_port,
        run_budgets=frozenset(budget.name for budget in tier_map.budgets if budget.owner.kind == "run"),
        example_model=allowed[0],
        local_secrets=_variables([engine.api_key for engine in engines]),
        all_secrets=_variables(secrets),
    )


def _is_local(endpoint: Endpoint) -> bool:
    url = urlsplit(endpoint.url)
    return url.scheme == "http" and url.hostname in _LOCAL_HOSTS


def _engine(tier: Tier, endpoint: Endpoint) -> EngineLayout:
    url = urlsplit(endpoint.url)
    return EngineLayout(
        endpoint=endpoint.name,
        tier=tier.name,
        model=tier.model,
        port=url.port or _HTTP_PORT,
        slots=-(-tier.slots // len(tier.endpoints)),
        context=tier.context,
        api_key=str(endpoint.api_key or ""),
    )


def _variables(references: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_variable, references))))


def _variable(reference: str) -> str:
    return reference.removeprefix("env:") if reference.startswith("env:") else ""
