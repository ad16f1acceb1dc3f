"""What a gateway says of its store when it starts."""

from gateway.errors import StoreUnavailable
from gateway.store.embedded import Report
from gateway.store.opening import Store


async def greet(store: Store, report: Report) -> None:
    """Tell ``report`` which store this is, and whether it answers; one elsewhere may come later."""
    try:
        await store.ping()
    except StoreUnavailable as error:
        report("store.unavailable", store=store.description, message=error.message)
    else:
        report("store.ready", store=store.description)
