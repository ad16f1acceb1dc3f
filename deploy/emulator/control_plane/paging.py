"""Pages of a list, by cursor; and the list as it was in August 2026, when it had no pages."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from starlette.datastructures import QueryParams

from deploy.emulator.control_plane.parameters import integer
from deploy.emulator.control_plane.problems import bad_request

Edition = Literal["2026-08", "2026-11"]
"""Which REST v2: of August, as its OpenAPI document has it; or the later one with pages and secrets."""
PAGE_ITEMS_MAX = 1000
EXHAUSTED = {"nextCursor": None, "hasNextPage": False}
Item = TypeVar("Item")


def page(
    query: QueryParams, items: Sequence[Item], key: Callable[[Item], str], edition: Edition
) -> tuple[Sequence[Item], dict[str, Any]]:
    """One page of ``items`` as the query asks for it, and what the answer says about pages.

    The cursor names the last item of the page before. If that item is gone by now, the list begins anew.

    Raises:
        Problem: The limit is none (422), or the cursor is none that was handed out (400).
    """
    if edition == "2026-08":
        return items, {}
    limit = integer(query, "limit", least=1, most=PAGE_ITEMS_MAX) or PAGE_ITEMS_MAX
    first = 0
    if cursor := query.get("cursor"):
        after = _opened(cursor)
        first = next((index + 1 for index, item in enumerate(items) if key(item) == after), 0)
    found = items[first : first + limit]
    more = first + limit < len(items)
    sealed = base64.urlsafe_b64encode(key(found[-1]).encode()).decode() if more else None
    return found, {"pagination": {"nextCursor": sealed, "hasNextPage": more}}


def _opened(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise bad_request("invalid cursor") from error
