"""The tier map: every tier, its endpoints, the routes, budgets and keys, as frozen values.

This is what the rest of Tiergate works with. The YAML that operators write is described in
``tiers.document``; ``tiers.load`` turns its text into a ``TierMap`` or into a list of every problem in it.
Durations are seconds, sizes tokens, money microdollars.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tiers.gpus import Gpu
from tiers.price import Price
from tiers.windows import Window


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is to be read, never the secret: ``env:NAME`` or ``file:PATH``."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How many requests may wait for a slot in one gateway process, and for how long."""

    length: int = 100
    wait_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the gateway waits for an endpoint, in seconds."""

    connect: float = 5.0
    """For a connection (TCP and TLS)."""
    headers: float = 600.0
    """From sending a request to the head of its answer."""
    first_token: float | None = None
    """From sending a stream's request to the first event with content; ``None`` is no limit of its own."""
    idle: float = 60.0
    """Between two pieces of an answer."""
    total: float = 600.0
    """For a whole request, all attempts included; reservations live as long. The tier's, never an endpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how soon a request is tried again, durations in seconds."""

    attempts: int = 4
    """Tries of one request in all, over endpoints and tiers."""
    backoff: float = 0.2
    """The wait before the second try at a tier is drawn from 0 to this, and the bound doubles from try to try …"""
    backoff_max: float = 5.0
    """… up to this."""
    retry_after_max: float = 5.0
    """The longest ``Retry-After`` that is waited for; for a longer one the next tier is asked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When an endpoint is left alone, and how it is found out that it is well again. Durations are seconds."""

    failures: int = 3
    """Failures in a row after which it is left alone …"""
    within: float = 30.0
    """… if none of them is older than this."""
    open: float = 5.0
    """How long it is left alone at first; twice as long each time that it is still not well …"""
    open_max: float = 20.0
    """… up to this."""
    probe: Literal["auto", "models", "health", "none"] = "auto"
    """What the gateway asks it then: Runpod's health address where it is Runpod's, else its models (``auto``); its
    models; its health address; or nothing, so that one request of a caller is the trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What stands behind a Runpod endpoint, as it is configured there."""

    max: int = 3
    """Workers at most; Runpod's own default."""
    slots: int = 30
    """Requests that one worker takes at once; worker-vllm's ``MAX_CONCURRENCY``, with its default."""
    idle_timeout: float = 10.0
    """So long a worker without work is kept, and billed; Runpod's own default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What a tier does while the store cannot be asked."""

    policy: Literal["closed", "open"] = "closed"
    """Refuse, or serve within an allowance; what was spent is booked when the store is back."""
    allowance_microdollars: int = 0
    """What one gateway process may spend on the tier in one outage."""


TransportKind = Literal["openai", "runpod-queue", "runpod-load-balancer", "litellm"]
"""How an endpoint is spoken to; see ``gateway.upstream.transports``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address that serves a tier. ``name`` is unique in the tier map and safe as a metric label."""

    name: str
    url: str
    """Base URL that ends before the operation's path, usually in ``/v1``; no trailing slash. Of a Runpod endpoint with
    a queue it is the endpoint's own, ``https://api.runpod.ai/v2/<id>``."""
    model: str = ""
    """The name under which it serves its model, where that is known of it alone; empty: its tier's."""
    transport: TransportKind = "openai"
    workers: Workers = Workers()
    api_key: SecretReference | None = None
    timeouts: Timeouts = Timeouts()
    """Its own, where it has them, and for the rest its tier's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A named class of service: one model, one price, one promise."""

    name: str
    model: str
    """The name under which the endpoints serve it; sent as ``model``, but to an endpoint with a name of its own."""
    aliases: tuple[str, ...] = ()
    price: Price
    gpu: Gpu | None = None
    gpu_count: int = 1
    endpoints: tuple[Endpoint, ...]
    context: int
    """Tokens of prompt and answer together."""
    output: int | None = None
    """Tokens that an answer may have when the caller sets no limit; ``None`` is as many as fit into the context."""
    template_tokens: int = 256
    """What the model's chat template adds of its own at most: its first words, a system prompt where there is none."""
    slots: int
    """Requests at once, over all endpoints and gateway processes."""
    queue: Queue = Queue()
    timeouts: Timeouts = Timeouts()
    """What ``total`` is read from; the other times are each endpoint's."""
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    affinity: Literal["none", "session", "prefix"] = "none"
    """What decides which of several endpoints a request goes to: nothing, its session, or its prompt's beginning."""
    continue_streams: bool = False
    """Whether another worker may go on with a stream that broke."""
    fallback: tuple[str, ...] = ()
    """Tiers for a request that failed here."""
    escalation: tuple[str, ...] = ()
    """Tiers for a request that does not fit into the context here, the smallest that may do first."""
    downgrade: str | None = None
    """The tier for a request for which a budget has not enough left here."""
    cold: Literal["hold", "spill"] = "hold"
    """Whether a request for which no worker is awake waits for one, or goes to the fallback tiers at once."""
    outage: Outage = Outage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A bound on a whole number, such as ``>12000``; ``operator`` is one of ``<``, ``<=``, ``>``, ``>=``."""

    operator: str
    value: int

    def holds(self, number: int) -> bool:
        """Whether ``number`` satisfies the bound."""
        match self.operator:
            case "<":
                return number < self.value
            case "<=":
                return number <= self.value
            case ">":
                return number > self.value
            case _:
                return number >= self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a route asks of a request; every condition that is set must hold.

    Text conditions are shell globs, case-sensitive, any of which may match; an empty text (no agent was
    named) matches none of them, ``*`` included.
    """

    agent: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    flow: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    prompt_tokens: Comparison | None = None
    tools: bool | None = None
    response_format: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """For model ``auto``: the tier of the first route whose conditions hold; the last route has none."""

    name: str
    when: Conditions = Conditions()
    tier: str
    priority: int = 0
    """Who waits for a slot goes before all of a lower one; below zero is after the ordinary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who a budget belongs to. ``pattern`` is a shell glob over names of that kind: each match has its own
    balance.

    ``kind`` is ``tier``, ``agent``, ``key``, ``team``, ``flow``, ``run`` or ``all`` (one balance for everything;
    pattern ``*``).
    """

    kind: str
    pattern: str


Spent = Literal["downgrade", "reject", "shadow"]
"""What a request does for which a budget has not enough left: go to its tier's cheaper tier where it has one; be
refused; or be served all the same, and only be reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Who is told when a budget is spent to a part, once per window, owner and part."""

    at: tuple[int, ...]
    """Parts in percent of the limit, rising."""
    webhook: SecretReference | str = field(repr=False)
    """The URL, or where it is to be read: many hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an owner may spend per window.

    ``unit`` is ``USD`` (``limit`` in microdollars), ``GPU seconds`` (``limit`` in microseconds), ``tokens`` or
    ``requests``.
    """

    name: str
    owner: Owner
    unit: str
    limit: int
    window: Window
    spent: Spent = "downgrade"
    alerts: Alerts | None = None
    rate: bool = False
    """Whether it is a rate limit's: a request that does not fit may come again in a moment, and is told when."""

    @property
    def window_seconds(self) -> int:
        """The window's usual length."""
        return self.window.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """How many requests of an owner may run at once, over all gateway processes."""

    name: str
    owner: Owner
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Who may call. Exactly one of ``secret`` (read at start) and ``hash`` (its hex SHA-256) is set."""

    name: str
    secret: SecretReference | None = None
    hash: str | None = field(default=None, repr=False)
    tiers: tuple[str, ...] | None = None
    """The tiers that the key may use; ``None`` is all."""
    agents: tuple[str, ...] | None = None
    """Shell globs of the agents that may use it, one of which must match; ``None`` is all, and those without a name."""
    team: str = ""
    """Whose it is; empty for nobody's in particular."""
    expires_unix: float | None = None
    """When it is no longer taken; ``None`` is never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierMap:
    """One validated tier map: every name resolves, every tier has a price, every route can be reached."""

    store: str = field(repr=False)
    """``embedded``, or a Redis or Valkey URL, which may hold a password."""
    tiers: Mapping[str, Tier]
    routes: tuple[Route, ...] = ()
    budgets: tuple[Budget, ...] = ()
    """Rate limits among them, as budgets of requests and tokens per rolling minute."""
    concurrency: tuple[Concurrency, ...] = ()
    keys: tuple[Key, ...] = ()
    names: Mapping[str, tuple[Tier, str]] = field(default_factory=lambda: MappingProxyType({}))
    """What a caller may send as ``model`` → the tier and how it was named: ``tier``, ``alias`` or ``model``.

    ``auto`` is not in it, nor a model that two tiers share. ``tiers.naming.names`` makes it.
    """
