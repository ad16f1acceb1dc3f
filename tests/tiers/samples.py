"""Tiers and a whole tier map for tests of the domain."""

from typing import Any

from tiers.load import load
from tiers.naming import names
from tiers.price import GpuPrice
from tiers.problems import Problem, TierMapInvalid
from tiers.tiermap import Endpoint, Route, Tier, TierMap

FILE = "tiers.yaml"

WHOLE = """\
version: 1
store: embedded
tiers:
  routing:
    model: meta-llama/Llama-3.1-8B-Instruct
    aliases: [gpt-4.1-mini]
    gpu: RTX 4090
    endpoints:
      - url: http://127.0.0.1:9100/v1
        api_key: env:ROUTING_KEY
    context: 16384
    slots: 24
    queue: {length: 200, wait: 30s}
    fallback: [reasoning]
  reasoning:
    model: hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4
    gpu: A100 80GB
    endpoints: [{url: "http://127.0.0.1:9101/v1/"}, {url: "http://127.0.0.1:9102/v1"}]
    context: 32768
    slots: 8
  external:
    model: gpt-4o-mini
    endpoints: [{url: "https://api.openai.com/v1", api_key: file:/run/secrets/openai}]
    price: {input: 0.15, output: 0.60}
    context: 2000
    output: 1000
    slots: 4
    timeouts: {connect: 500ms, headers: 10s, idle: 5s, total: 1m}
routes:
  - {name: classifiers, when: {agent: ["router", "classifier-*"]}, tier: routing}
  - {name: long prompts, when: {prompt_tokens: ">12000"}, tier: reasoning}
  - {name: default, tier: routing}
budgets:
  - {name: reasoning-daily, owner: {tier: reasoning}, limit: 50 USD, window: 1d}
  - {name: per-agent, owner: {agent: "*"}, limit: 2M tokens, window: 1h}
keys:
  - {name: demo, key: env:TIERGATE_DEMO_KEY}
"""


def tier(name: str = "routing", **fields: Any) -> Tier:  # noqa: ANN401 - any of Tier's fields
    """A tier of one GPU worker at 310 microdollars a second, changed by ``fields``."""
    return Tier(
        **{
            "name": name,
            "model": f"org/{name}-8B",
            "price": GpuPrice(microdollars_per_second=310),
            "endpoints": (Endpoint(name=f"{name}/0", url="http://127.0.0.1:9100/v1"),),
            "context": 1000,
            "output": 100,
            "slots": 2,
            **fields,
        }
    )


def tier_map(*tiers: Tier, routes: tuple[Route, ...] = ()) -> TierMap:
    """A tier map of these tiers."""
    by_name = {each.name: each for each in tiers}
    return TierMap(store="embedded", tiers=by_name, routes=routes, names=names(by_name))


def problems(text: str | bytes) -> tuple[Problem, ...]:
    """What ``load`` says against the text; nothing where it loads."""
    try:
        load(text, file=FILE)
    except TierMapInvalid as error:
        return error.problems
    return ()


def line_of(text: str, part: str) -> int:
    """The line in which the part stands first."""
    return text[: text.index(part)].count("\n") + 1


def changed(old: str, new: str) -> str:
    """``WHOLE`` with one part replaced."""
    assert WHOLE.count(old) == 1, f"{old!r} must be there exactly once"
    return WHOLE.replace(old, new)
