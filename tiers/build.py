"""The validated document → the ``TierMap`` that everything else works with."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from tiers.budget_document import AlertsDocument, BudgetDocument, LimitDocument, OwnerDocument
from tiers.consistency import OWNER_KINDS
from tiers.document import (
    ConditionsDocument,
    EndpointDocument,
    KeyDocument,
    ListedPriceDocument,
    OutageDocument,
    RouteDocument,
    TierDocument,
    TierMapDocument,
)
from tiers.fleet_addresses import Address
from tiers.naming import names
from tiers.price import GpuPrice, ListedPrice, Price, TokenPrice
from tiers.runpod_urls import addressed, deployed_as
from tiers.sharing import shared
from tiers.tiermap import (
    Alerts,
    Breaker,
    Budget,
    Concurrency,
    Conditions,
    Endpoint,
    Key,
    Outage,
    Owner,
    Queue,
    Retry,
    Route,
    SecretReference,
    Tier,
    TierMap,
    Timeouts,
    Workers,
)
from tiers.windows import Window

RATE_SECONDS = 60
RUNPOD_KEY = SecretReference("env", "RUNPOD_API_KEY")
"""Where the key of deployed endpoints is read, unless they say otherwise."""


def tier_map(
    document: TierMapDocument,
    listed: Mapping[str, TokenPrice] = MappingProxyType({}),
    addresses: Mapping[str, Address] = MappingProxyType({}),
) -> TierMap:
    """The tier map of a document that ``tiers.load`` found no problem in; ``listed`` has prices that were looked up, by
    the name of their tier, ``addresses`` the URLs of deployed endpoints by their names.

    Raises:
        ValueError: It was not checked: a tier has no price.
    """
    made = {name: _tier(name, tier, listed.get(name), addresses) for name, tier in document.tiers.items()}
    tiers = MappingProxyType(shared(made))
    return TierMap(
        store=document.store,
        tiers=tiers,
        routes=tuple(_route(route) for route in document.routes),
        budgets=(
            *(budget_of(budget) for budget in document.budgets),
            *(rate for limit in document.limits for rate in rates_of(limit)),
        ),
        concurrency=tuple(
            Concurrency(name=limit.name, owner=_owner(limit.owner), slots=limit.concurrency)
            for limit in document.limits
            if limit.concurrency is not None
        ),
        keys=tuple(_key(key) for key in document.keys),
        names=names(tiers),
    )


def _route(route: RouteDocument) -> Route:
    return Route(name=route.name, when=conditions(route.when), tier=route.tier, priority=route.priority)


def _key(key: KeyDocument) -> Key:
    return Key(
        name=key.name,
        secret=key.key,
        hash=key.hash,
        tiers=None if key.tiers is None else tuple(key.tiers),
        agents=key.agents,
        team=key.team or "",
        expires_unix=key.expires,
    )


def conditions(when: ConditionsDocument) -> Conditions:
    """A route's conditions; what the document leaves out is not asked."""
    return Conditions(
        agent=when.agent or (),
        key=when.key or (),
        flow=when.flow or (),
        run=when.run or (),
        prompt_tokens=when.prompt_tokens,
        tools=when.tools,
        response_format=when.response_format or (),
    )


def _tier(name: str, tier: TierDocument, listed: TokenPrice | None, addresses: Mapping[str, Address]) -> Tier:
    timeouts = Timeouts(**tier.timeouts.model_dump())
    return Tier(
        name=name,
        model=tier.model,
        aliases=tuple(tier.aliases),
        price=listed or _price(tier),
        gpu=tier.gpu,
        gpu_count=tier.gpu_count,
        endpoints=tuple(
            _endpoint(f"{name}/{index}", endpoint, timeouts, addresses) for index, endpoint in enumerate(tier.endpoints)
        ),
        context=tier.context,
        output=tier.output,
        template_tokens=tier.template_tokens,
        slots=tier.slots,
        queue=Queue(length=tier.queue.length, wait_seconds=tier.queue.wait),
        timeouts=timeouts,
        retry=Retry(**tier.retry.model_dump()),
        breaker=Breaker(**tier.breaker.model_dump()),
        affinity=tier.affinity,
        continue_streams=tier.continue_,
        fallback=tuple(tier.fallback),
        escalation=tuple(tier.escalation),
        downgrade=tier.downgrade,
        cold=tier.cold,
        outage=_outage(tier.outage),
    )


def _outage(outage: OutageDocument | None) -> Outage:
    return Outage() if outage is None else Outage(policy="open", allowance_microdollars=outage.open)


def _price(tier: TierDocument) -> Price:
    if tier.gpu is not None:
        return GpuPrice(microdollars_per_second=tier.gpu.microdollars_per_second * tier.gpu_count)
    if isinstance(tier.price, ListedPriceDocument):
        return ListedPrice()
    if tier.price is not None:
        return TokenPrice(input_microdollars=tier.price.input, output_microdollars=tier.price.output)
    raise ValueError("a tier without a price")


def _endpoint(name: str, endpoint: EndpointDocument, timeouts: Timeouts, addresses: Mapping[str, Address]) -> Endpoint:
    own = endpoint.timeouts.model_dump(exclude_none=True)
    model = ""
    if endpoint.deploy is None:
        url, transport = addressed(endpoint.url or "", endpoint.transport)
        api_key = endpoint.api_key
    else:
        address, model = addresses.get(name) or Address("")
        wanted = endpoint.transport or "runpod-queue"
        url, transport = addressed(address, deployed_as(address) if address else wanted)
        api_key = endpoint.api_key or RUNPOD_KEY
    return Endpoint(
        name=name,
        url=url,
        model=model,
        transport=transport,
        workers=Workers(**endpoint.workers.model_dump()),
        api_key=api_key,
        timeouts=replace(timeouts, **own),
    )


def budget_of(budget: BudgetDocument) -> Budget:
    """The budget that a document describes."""
    unit, limit = budget.limit
    return Budget(
        name=budget.name,
        owner=_owner(budget.owner),
        unit=unit,
        limit=limit,
        window=_window(budget),
        spent=budget.spent,
        alerts=_alerts(budget.alerts),
    )


def _window(budget: BudgetDocument) -> Window:
    if budget.rolling:
        return Window(kind="rolling", seconds=budget.window.seconds)
    return replace(budget.window, zone=budget.timezone)


def _alerts(alerts: AlertsDocument | None) -> Alerts | None:
    return None if alerts is None else Alerts(at=alerts.at, webhook=alerts.webhook)


def rates_of(limit: LimitDocument) -> list[Budget]:
    """A limit's rates: budgets of any 60 seconds, which refuse and are no reason for a cheaper tier."""
    rates = (("requests", limit.requests_per_minute), ("tokens", limit.tokens_per_minute))
    return [
        Budget(
            name=limit.name,
            owner=_owner(limit.owner),
            unit=unit,
            limit=most,
            window=Window(kind="rolling", seconds=RATE_SECONDS),
            spent="reject",
            rate=True,
        )
        for unit, most in rates
        if most is not None
    ]


def _owner(owner: OwnerDocument) -> Owner:
    [(kind, pattern)] = [(kind, getattr(owner, kind)) for kind in OWNER_KINDS if getattr(owner, kind) is not None]
    return Owner(kind=kind, pattern=pattern)
