"""What a URL says of a Runpod endpoint.

    queue          https://api.runpod.ai/v2/<id>            its OpenAI route is /openai/v1 below it
    load balancer  https://<id>.api.runpod.ai[/<path>]
    either         its health, which wakes no worker, is https://api.runpod.ai/v2/<id>/health

A path of this form is known whatever the host: there may be a proxy, or an emulator, in between, which serves the load
balancers under ``/lb/<id>``.
"""

import re
from typing import Final

from tiers.tiermap import TransportKind

_QUEUE: Final = re.compile(r"(https?://[^/]+/v2/[^/]+)(?:/openai(?:/v1)?)?")
_BALANCED: Final = re.compile(r"https://([^./]+)\.api\.runpod\.ai(?:/.*)?")
_BALANCED_BY_PATH: Final = re.compile(r"(https?://[^/]+)/lb/([^/]+)(?:/.*)?")


def addressed(url: str, transport: TransportKind | None) -> tuple[str, TransportKind]:
    """The base URL under which an endpoint is called, and how; ``transport`` is what the operator wrote.

    Where nothing was written, what is Runpod's by its address is spoken to as such; a bare ``/v2/<id>`` on another host
    is not taken for it.
    """
    queue = _QUEUE.fullmatch(url)
    if transport is None:
        if queue is not None and (url != queue[1] or url.startswith("https://api.runpod.ai/")):
            transport = "runpod-queue"
        elif _BALANCED.fullmatch(url) is not None:
            transport = "runpod-load-balancer"
        else:
            transport = "openai"
    if transport == "runpod-queue" and queue is not None:
        return queue[1], transport
    return url, transport


def deployed_as(url: str) -> TransportKind:
    """How an endpoint of Runpod's is spoken to that is there under ``url``, whatever a tier map wants it to become."""
    return "runpod-queue" if _QUEUE.fullmatch(url) is not None else "runpod-load-balancer"


def health_base(url: str) -> str | None:
    """The base URL of the Runpod endpoint that is called under ``url``, where its health is told; ``None`` where it is
    not Runpod's.
    """
    if found := _QUEUE.fullmatch(url):
        return found[1]
    if found := _BALANCED.fullmatch(url):
        return f"https://api.runpod.ai/v2/{found[1]}"
    if found := _BALANCED_BY_PATH.fullmatch(url):
        return f"{found[1]}/v2/{found[2]}"
    return None
