"""What tests with LiteLLM's SDK itself share; they are left out where it is not installed (``locks/litellm.txt``)."""

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from gateway.upstream.litellm_package import load_package

MARKS = [
    pytest.mark.integration,
    # The SDK's own warnings are not ours to mend; it leaves connections open, which are closed below.
    pytest.mark.filterwarnings("ignore"),
]


def need_litellm() -> None:
    """Leave the test, or the module, out where LiteLLM is not installed; nothing is imported: the gateway does that."""
    if importlib.util.find_spec("litellm") is None:
        pytest.skip("LiteLLM is not installed", allow_module_level=True)


@contextlib.asynccontextmanager
async def closing_clients() -> AsyncIterator[None]:
    """Close the connections that the SDK keeps, within the test that made them."""
    try:
        yield
    finally:
        cache = cast("Any", load_package()).in_memory_llm_clients_cache
        for client in list(cache.cache_dict.values()):
            close = getattr(client, "close", None)
            if asyncio.iscoroutinefunction(close):
                with contextlib.suppress(Exception):
                    await close()
        cache.flush_cache()
