"""``tiergate-gateway bill``: Runpod's bill beside what was seen of it."""

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.clock import SystemClock
from gateway.errors import StoreUnavailable
from gateway.gpu_seconds.books import read_books
from gateway.gpu_seconds.runpod_bill import TIMEOUTS, BillUnreadable, by_day, read_bill
from gateway.gpu_seconds.statement import Form, printed, statement
from gateway.settings import read_secrets
from gateway.store import open_store
from gateway.upstream.pool import HttpTransport
from tiers.addresses import secret_reference
from tiers.tiermap import TierMap

DAYS_MAX: Final = 39
"""Books are kept a day longer."""
_EMBEDDED: Final = "embedded"
_DAY_SECONDS: Final = 86_400


class BillFailed(Exception):
    """There is nothing to print; the text says why."""


async def bill_text(options: argparse.Namespace, tier_map: TierMap, *, now_unix: float | None = None) -> str:
    """What ``bill`` prints.

    Raises:
        BillFailed: The bill or the books cannot be read, or the command line makes no sense.
        SettingsInvalid: Runpod's key cannot be read.
    """
    now = SystemClock().unix() if now_unix is None else now_unix
    since = _since(options.since, now)
    form: Form = options.format
    store_url = options.store or tier_map.store
    if store_url == _EMBEDDED:
        raise BillFailed("the embedded store is its gateway's alone: the books are read from one that has a URL")
    try:
        reference = secret_reference(options.runpod_key)
        transport = HttpTransport(options.runpod_url, TIMEOUTS, idle_max=0)
    except ValueError as error:
        raise BillFailed(f"--runpod-key or --runpod-url: {error}") from None
    try:
        key = read_secrets([reference])[reference]
        billed = await read_bill(transport, key, since, now)
        async with open_store(store_url, data_directory=Path()) as store:
            books = await read_books(store.client, since, now)
    except BillUnreadable as error:
        raise BillFailed(str(error)) from error
    except StoreUnavailable as error:
        raise BillFailed(error.message) from error
    finally:
        await transport.aclose()
    return printed(statement(tier_map, books, by_day(billed)), form)


def _since(text: str, now: float) -> float:
    """The beginning of the first UTC day."""
    found = re.fullmatch(r"([1-9]\d?)d", text)
    if found is None or int(found[1]) > DAYS_MAX:
        raise BillFailed(f"--since: {text!r} is not a number of days from 1d to {DAYS_MAX}d")
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - (int(found[1]) - 1) * _DAY_SECONDS
