"""The near side's own HTTP/1.1, for connections that ask for metered operations; uvicorn's speaks on all others."""
