"""Fields that must agree: one price for a tier, a URL of an endpoint, larger contexts to escalate to, and so on."""

from collections.abc import Iterator

from tiers.budget_document import RATES
from tiers.document import LISTED
from tiers.paths import ANY, select
from tiers.problems import Finding, Refused, quoted
from tiers.quantities import window

OWNER_KINDS = ("tier", "agent", "key", "team", "flow", "run", "all")


def findings(data: object) -> Iterator[Finding]:
    """Every disagreement in the document's plain data, as far as its shape lets it be read."""
    yield from _prices(data)
    yield from _listed_prices(data)
    yield from _urls(data)
    yield from _outputs(data)
    yield from _escalations(data)
    yield from _owners(data)
    yield from _windows(data)
    yield from _limits(data)
    yield from _keys(data)


def _prices(data: object) -> Iterator[Finding]:
    for path, tier in select(data, "tiers", ANY):
        if not isinstance(tier, dict):
            continue
        given = [field for field in ("gpu", "price") if tier.get(field) is not None]
        if not given:
            yield Finding(
                path=path,
                message="the tier has no price",
                remedy="add `gpu: RTX 4090` (its price is known) or `price: {input: 0.15, output: 0.60}`",
            )
        if len(given) > 1:
            yield Finding(
                path=(*path, "price"),
                message="the tier has two prices: by gpu and by price",
                remedy="keep gpu for an endpoint paid by GPU time, price for one paid by token",
            )


def _listed_prices(data: object) -> Iterator[Finding]:
    for path, tier in select(data, "tiers", ANY):
        if not isinstance(tier, dict) or tier.get("price") != LISTED:
            continue
        transports = [transport for _, transport in select(tier, "endpoints", ANY, "transport")]
        if "litellm" not in transports:
            yield Finding(
                path=(*path, "price"),
                message="LiteLLM's price for a tier without an endpoint that LiteLLM calls",
                remedy="write its price, `price: {input: 0.15, output: 0.60}`, or `transport: litellm` at its endpoint",
            )


def _urls(data: object) -> Iterator[Finding]:
    for path, endpoint in select(data, "tiers", ANY, "endpoints", ANY):
        if not isinstance(endpoint, dict) or endpoint.get("transport") == "litellm":
            continue
        if endpoint.get("url") is None and endpoint.get("deploy") is None:
            yield Finding(
                path=path,
                message="the endpoint has no url",
                remedy="add it, up to and including /v1; or `deploy: {}`, to have it made on Runpod",
            )


def _outputs(data: object) -> Iterator[Finding]:
    for path, tier in select(data, "tiers", ANY):
        if not isinstance(tier, dict):
            continue
        output, context = tier.get("output"), tier.get("context")
        if type(output) is int and type(context) is int and output > context >= 1:
            yield Finding(
                path=(*path, "output"),
                message=f"an answer of {output} tokens is longer than the context of {context}",
                remedy=f"write at most {context}, or leave output out",
            )


def _escalations(data: object) -> Iterator[Finding]:
    """Tiers that a request is to escalate to although they hold no more than the one before."""
    contexts = {str(path[1]): size for path, size in select(data, "tiers", ANY, "context") if type(size) is int}
    for path, names in select(data, "tiers", ANY, "escalation"):
        before = str(path[1])
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if not isinstance(name, str) or name == path[1] or name not in contexts:
                continue
            if before in contexts and contexts[name] <= contexts[before]:
                yield Finding(
                    path=(*path, index),
                    message=f"the context of {quoted(name)} is not larger than that of {quoted(before)}",
                    remedy="name tiers with larger and larger contexts, the smallest first",
                )
            before = name


def _owners(data: object) -> Iterator[Finding]:
    for section, word in (("budgets", "budget"), ("limits", "limit")):
        for path, owner in select(data, section, ANY, "owner"):
            if isinstance(owner, dict) and sum(owner.get(kind) is not None for kind in OWNER_KINDS) != 1:
                yield Finding(
                    path=path,
                    message=f"a {word} has exactly one kind of owner",
                    remedy=f'write one of {", ".join(OWNER_KINDS)}, such as {{agent: "*"}}',
                )


def _windows(data: object) -> Iterator[Finding]:
    """Time zones of windows that begin with nothing of a calendar."""
    for path, budget in select(data, "budgets", ANY):
        if not isinstance(budget, dict) or budget.get("timezone") is None:
            continue
        text = budget.get("window")
        if budget.get("rolling") is True:
            yield Finding(
                path=(*path, "timezone"),
                message="a rolling window has no beginning, so no time zone either",
                remedy="take out timezone or rolling",
            )
        elif isinstance(text, str) and _is_aligned(text):
            yield Finding(
                path=(*path, "timezone"),
                message=f"a window of {text} begins at multiples of its length since 1970 in UTC",
                remedy="write a window of 1h, 1d, 1w or 1mo, which follow the calendar, or take out timezone",
            )


def _is_aligned(text: str) -> bool:
    try:
        return window(text).kind == "aligned"
    except Refused:
        return False


def _limits(data: object) -> Iterator[Finding]:
    for path, limit in select(data, "limits", ANY):
        if isinstance(limit, dict) and all(limit.get(rate) is None for rate in RATES):
            yield Finding(path=path, message="the limit bounds nothing", remedy=f"add one of {', '.join(RATES)}")


def _keys(data: object) -> Iterator[Finding]:
    first_with: dict[str, str] = {}
    for path, key in select(data, "keys", ANY):
        if not isinstance(key, dict):
            continue
        given = [field for field in ("key", "hash") if key.get(field) is not None]
        if len(given) != 1:
            yield Finding(
                path=path,
                message="has both key and hash" if given else "has neither key nor hash",
                remedy="keep one: `key: env:NAME` or `hash: sha256:…`",
            )
        for field in given:
            if not isinstance(key[field], str):
                continue
            same = key[field].lower().removeprefix("sha256:") if field == "hash" else key[field]
            name = str(key.get("name"))
            if same in first_with:
                yield Finding(
                    path=(*path, field),
                    message=f"the same secret as that of {quoted(first_with[same])}",
                    remedy="give each key its own secret, so that calls can be told apart",
                )
            first_with.setdefault(same, name)
