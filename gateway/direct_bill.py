"""Runpod's bill beside the books, read from Runpod and from the store, without a running gateway."""

import argparse
from pathlib import Path
from typing import Final

from gateway.clock import SystemClock
from gateway.errors import StoreUnavailable
from gateway.exchange import Clock
from gateway.gpu_seconds.books import read_books
from gateway.gpu_seconds.reconciliation import DAY_SECONDS, DAYS_MAX, Reconciliation, of_tier
from gateway.gpu_seconds.runpod_bill import TIMEOUTS, BillUnreadable, read_bill
from gateway.gpu_seconds.statement import Form, printed
from gateway.settings import read_secret
from gateway.store import open_store
from gateway.upstream.pool import HttpTransport
from gateway.usage.question import QuestionInvalid, moment_of
from tiers.tiermap import TierMap

_EMBEDDED: Final = "embedded"


class BillFailed(Exception):
    """There is nothing to print; the text says why."""


async def bill_text(options: argparse.Namespace, tier_map: TierMap, *, clock: Clock | None = None) -> str:
    """What ``bill FILE`` prints.

    Raises:
        BillFailed: The bill or the books cannot be read, or the command line makes no sense.
        SettingsInvalid: Runpod's key cannot be read.
    """
    clock = clock or SystemClock()
    now = clock.unix()
    form: Form = options.format
    store_url = options.store or tier_map.store
    if store_url == _EMBEDDED:
        raise BillFailed("the embedded store is its gateway's alone: ask that one, with --gateway")
    try:
        since = moment_of("--since", options.since, now)
        until = None if options.until is None else moment_of("--until", options.until, now)
        transport = HttpTransport(options.runpod_url, TIMEOUTS, idle_max=0)
    except QuestionInvalid as error:
        raise BillFailed(str(error)) from None
    except ValueError as error:
        raise BillFailed(f"--runpod-url: {error}") from None
    if since < now - DAYS_MAX * DAY_SECONDS:
        raise BillFailed(f"--since: books are kept for {DAYS_MAX} days")
    try:
        key = read_secret(options.runpod_key, "--runpod-key")
        async with open_store(store_url, data_directory=Path()) as store:
            reconciliation = Reconciliation(
                bill=lambda begin, end: read_bill(transport, key, begin, end),
                books=lambda begin, end: read_books(store.client, begin, end),
                tier_map=lambda: tier_map,
                clock=clock,
            )
            lines = of_tier(await reconciliation.lines(since, until), options.tier)
    except BillUnreadable as error:
        raise BillFailed(str(error)) from error
    except StoreUnavailable as error:
        raise BillFailed(error.message) from error
    finally:
        await transport.aclose()
    return printed(lines, form)
