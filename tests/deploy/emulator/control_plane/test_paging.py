from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from deploy.emulator.control_plane.paging import page
from deploy.emulator.control_plane.problems import Problem


def pages(items: Sequence[str], limit: int) -> list[Sequence[str]]:
    """All pages, followed by their cursors."""
    query, found = {"limit": str(limit)}, []
    for _ in range(len(items) + 1):
        one, told = page(QueryParams(query), items, str, "2026-11")
        found.append(one)
        if not told["pagination"]["hasNextPage"]:
            assert told["pagination"]["nextCursor"] is None
            break
        query["cursor"] = told["pagination"]["nextCursor"]
    return found


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 5))
def test_every_item_is_on_exactly_one_page_in_order(items: list[str], limit: int) -> None:
    found = pages(items, limit)
    assert [item for one in found for item in one] == items
    assert all(len(one) == limit for one in found[:-1])
    assert found[-1] or not items


def test_august_knows_no_pages() -> None:
    assert page(QueryParams("limit=0&cursor=!"), ["a", "b"], str, "2026-08") == (["a", "b"], {})


def test_a_limit_is_from_one_to_a_thousand() -> None:
    for limit in ("0", "1001", "x"):
        with pytest.raises(Problem) as caught:
            page(QueryParams({"limit": limit}), [], str, "2026-11")
        assert caught.value.status == 422


def test_a_thousand_is_the_default() -> None:
    found, told = page(QueryParams(""), [str(n) for n in range(1001)], str, "2026-11")
    assert (len(found), told["pagination"]["hasNextPage"]) == (1000, True)


@pytest.mark.parametrize("cursor", ["!", "abc", "____"])
def test_a_cursor_that_was_never_handed_out_is_a_400(cursor: str) -> None:
    with pytest.raises(Problem) as caught:
        page(QueryParams({"cursor": cursor}), ["a"], str, "2026-11")
    assert caught.value.status == 400


def test_a_list_begins_anew_where_the_cursors_item_is_gone() -> None:
    _, told = page(QueryParams("limit=1"), ["a", "b"], str, "2026-11")
    query = QueryParams({"cursor": told["pagination"]["nextCursor"]})
    assert page(query, ["b", "c"], str, "2026-11")[0] == ["b", "c"]
