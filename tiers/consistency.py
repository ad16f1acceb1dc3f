"""Fields that must agree with each other: one price per tier, one owner per budget, one secret per key."""

from collections.abc import Iterator

from tiers.paths import ANY, select
from tiers.problems import Finding, quoted

OWNER_KINDS = ("tier", "agent", "key", "flow", "run", "all")


def findings(data: object) -> Iterator[Finding]:
    """Every disagreement in the document's plain data, as far as its shape lets it be read."""
    yield from _prices(data)
    yield from _outputs(data)
    yield from _owners(data)
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


def _owners(data: object) -> Iterator[Finding]:
    for path, owner in select(data, "budgets", ANY, "owner"):
        if isinstance(owner, dict) and sum(owner.get(kind) is not None for kind in OWNER_KINDS) != 1:
            yield Finding(
                path=path,
                message="a budget has exactly one kind of owner",
                remedy=f'write one of {", ".join(OWNER_KINDS)}, such as {{agent: "*"}}',
            )


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
