"""All records, page by page, from a real store."""

import msgspec
import pytest

from gateway.errors import StoreUnavailable
from gateway.store import open_store
from gateway.telemetry.record_pages import record_pages
from gateway.telemetry.records import PAGE_RECORDS, RecordStore
from tests.gateway.samples import record
from tests.stores import redis_server


async def test_every_record_is_read_once_newest_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Also one that was written twice, since its answer was lost; no page is large."""
    encoded = [msgspec.json.encode(record(request_id=f"req_{i}")) for i in range(2 * PAGE_RECORDS + 50)]
    with redis_server() as socket:
        async with open_store(f"unix://{socket}", data_directory=tmp_path_factory.mktemp("store")) as store:
            records = RecordStore(store.client, store.commands)
            for one in [*encoded, encoded[-1], encoded[0]]:
                records.keep(record(), one)
            assert [page async for page in record_pages(store.client)] == []
            await records.flush()
            pages = [page async for page in record_pages(store.client)]
            assert max(map(len, pages)) <= PAGE_RECORDS
            assert [one for page in pages for one in page] == [encoded[0], *reversed(encoded[1:])]
            assert [page async for page in record_pages(store.client, prefix="another")] == []


async def test_a_store_that_is_away_is_said_to_be(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with open_store("redis://127.0.0.1:1/0", data_directory=tmp_path_factory.mktemp("store")) as store:
        with pytest.raises(StoreUnavailable):
            await anext(record_pages(store.client))
