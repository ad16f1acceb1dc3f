"""Requests that two readers could read as different ones: each ends refused, and no second request comes of it."""

import pytest

from tests.gateway.front.serving import plain, served, until

LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
HIDDEN = b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nhidden"
CHUNKED_HIDDEN = b"0\r\n\r\n" + HIDDEN
"""A body that ends at once for whoever reads chunks; for who counts, the rest is body too."""

LENGTH = b"content-length: %d\r\n" % len(CHUNKED_HIDDEN)
REFUSED = {
    "length, then chunked": LINE + b"host: a\r\n" + LENGTH + b"transfer-encoding: chunked\r\n\r\n" + CHUNKED_HIDDEN,
    "chunked, then length": LINE + b"host: a\r\ntransfer-encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKED_HIDDEN,
    "unknown encoding and a length": LINE + b"host: a\r\n" + LENGTH + b"transfer-encoding: xchunked\r\n\r\n"
    + CHUNKED_HIDDEN,
    "unknown encoding": LINE + b"host: a\r\ntransfer-encoding: xchunked\r\n\r\n" + CHUNKED_HIDDEN,
    "space before the colon": LINE + b"host: a\r\n" + LENGTH + b"transfer-encoding : chunked\r\n\r\n" + CHUNKED_HIDDEN,
    "folded encoding": LINE + b"host: a\r\n" + LENGTH + b"transfer-encoding:\r\n chunked\r\n\r\n" + CHUNKED_HIDDEN,
    "bare LF before the encoding": LINE + b"host: a\r\n" + LENGTH + b"x: y\ntransfer-encoding: chunked\r\n\r\n"
    + CHUNKED_HIDDEN,
    "bare CR before the encoding": LINE + b"host: a\r\n" + LENGTH + b"x: y\rtransfer-encoding: chunked\r\n\r\n"
    + CHUNKED_HIDDEN,
    "NUL in the encoding": LINE + b"host: a\r\n" + LENGTH + b"transfer-encoding\0: chunked\r\n\r\n" + CHUNKED_HIDDEN,
    "two lengths": LINE + b"host: a\r\ncontent-length: 0\r\n" + LENGTH + b"\r\n" + CHUNKED_HIDDEN,
    "the same length twice": LINE + b"host: a\r\n" + LENGTH * 2 + b"\r\n" + CHUNKED_HIDDEN,
    "list of lengths": LINE + b"host: a\r\ncontent-length: 0, 5\r\n\r\n" + HIDDEN,
    "length with a sign": LINE + b"host: a\r\ncontent-length: +0\r\n\r\n" + HIDDEN,
    "negative length": LINE + b"host: a\r\ncontent-length: -1\r\n\r\n" + HIDDEN,
    "length in hexadecimal": LINE + b"host: a\r\ncontent-length: 0x6\r\n\r\n" + HIDDEN,
    "length that overflows": LINE + b"host: a\r\ncontent-length: 18446744073709551617\r\n\r\n" + HIDDEN,
    "bare LF between headers": LINE + b"host: a\ncontent-length: 0\r\n\r\n" + HIDDEN,
    "name with a space": LINE + b"host: a\r\ncontent length: 6\r\ncontent-length: 0\r\n\r\n" + HIDDEN,
    "header without a colon": LINE + b"host: a\r\ncontent-length\r\ncontent-length: 0\r\n\r\n" + HIDDEN,
    "chunk size that overflows": LINE + b"host: a\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n" + HIDDEN,
    "chunk size that is none": LINE + b"host: a\r\ntransfer-encoding: chunked\r\n\r\nz\r\n" + HIDDEN,
}  # fmt: skip


@pytest.mark.parametrize("warm", [False, True], ids=["first", "after a good one"])
async def test_a_request_of_two_readings_is_refused(warm: bool) -> None:
    """Uvicorn's parser answers 400 and closes; the hidden request never reaches the pipeline."""
    async with served() as gateway:
        for name, request in REFUSED.items():
            gateway.pipeline.served.clear()
            gateway.pipeline.begun = 0
            async with gateway.connect() as client:
                if warm:
                    assert (await client.ask(plain(b"good")))[2] == b"good"
                await client.send(request)
                status, headers, _ = await client.answer()
                assert (status, headers[b"connection"]) == (400, b"close"), name
                assert await client.rest() == b"", name
                await until(lambda: not gateway.server.server_state.tasks)
                assert [one.body for one in gateway.pipeline.served] == [b"good"] * warm, name
                assert gateway.pipeline.begun <= 1 + warm, name


async def test_a_body_that_looks_like_a_request_is_a_body() -> None:
    """Also where it comes in a packet of its own."""
    request = plain(HIDDEN)
    async with served() as gateway, gateway.connect() as client:
        assert (await client.ask(request))[2] == HIDDEN
        await client.send(request[: -len(HIDDEN)], HIDDEN)
        assert (await client.answer())[2] == HIDDEN
        assert [request.path for request in gateway.pipeline.served] == ["/v1/chat/completions"] * 2
