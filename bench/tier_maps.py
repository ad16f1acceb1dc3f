"""The tier maps of the loads, as JSON, which is YAML."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

KEY_VARIABLE = "TIERGATE_BENCH_KEY"
"""Where the gateway finds the key of the fixed loads."""
MODEL = "Qwen/Qwen3-8B"
BUDGETS = (
    {"name": "per-tier", "owner": {"tier": "*"}, "limit": "100000 USD", "window": "1d"},
    {"name": "per-key", "owner": {"key": "*"}, "limit": "900000M tokens", "window": "1h"},
)
"""Two exact budgets that concern every request and are never spent."""


def tier_map(endpoints: Mapping[str, str], *, budgets: bool = True, keys: int = 0) -> str:
    """A map with one tier per name in ``endpoints`` (name → base URL).

    With ``keys`` there are that many keys, of which the map has the hashes, as in a large installation; otherwise
    there is one, from ``KEY_VARIABLE``.
    """
    tiers = {name: _tier(url) for name, url in endpoints.items()}
    callers: list[dict[str, Any]] = [
        {"name": f"k{number}", "hash": hashlib.sha256(key_of(number).encode()).hexdigest()} for number in range(keys)
    ]
    return json.dumps(
        {
            "version": 1,
            "tiers": tiers,
            "budgets": list(BUDGETS) if budgets else [],
            "keys": callers or [{"name": "bench", "key": f"env:{KEY_VARIABLE}"}],
        },
        separators=(",", ":"),  # a map has at most 1 MiB, and 10,000 hashes nearly fill it
    )


def key_of(number: int) -> str:
    """The key of caller ``number``; the load makes it in the same way."""
    return f"sk-bench-{number:05d}"


def tier_of(number: int) -> str:
    """The name of tier ``number``; the load makes it in the same way."""
    return f"tier-{number:03d}"


def _tier(url: str) -> dict[str, Any]:
    return {
        "model": MODEL,
        "price": {"input": 0.15, "output": 0.60},
        "endpoints": [{"url": url}],
        "context": 32768,
        "slots": 10000,
        "queue": {"length": 10000, "wait": "60s"},
    }
