"""The tier map's ``store`` → what redis-py can read of it, and which servers say where the store is."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tiers.addresses import CLUSTER_PORT, SENTINEL_PORT, store_nodes
from tiers.problems import Refused

PORT = 6379
FORMS = (
    "redis://HOST:6379/0, rediss://HOST:6379/0, unix:///PATH, redis+sentinel://HOST:26379,HOST:26379/SERVICE/0 or"
    " redis+cluster://HOST:6379,HOST:6379"
)

Node = tuple[str, int]
"""A host and a port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """A store elsewhere, as its URL says.

    Attributes:
        plain: A URL that redis-py reads, for the login, the database and the options; of several servers, the first.
        description: Which store this is, for people; never a password.
        nodes: The Sentinels, or the cluster's nodes to begin with; empty for a server that is always the same.
        service: How the Sentinels call the master; empty for a cluster.
        sentinel_username, sentinel_password: The login at the Sentinels, which is not the store's.
    """

    plain: str = field(repr=False)
    description: str
    nodes: tuple[Node, ...] = ()
    service: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def parse_store_url(url: str) -> StoreUrl:
    """What ``url`` says.

    Raises:
        ValueError: It is no store's; the message does not repeat it, since it may hold a password.
    """
    scheme = url.partition("://")[0]
    try:
        urlsplit(url)
    except ValueError:
        raise ValueError("the store's URL has no valid host and port") from None
    try:
        match scheme:
            case "redis+sentinel" | "rediss+sentinel":
                return _sentinel(url)
            case "redis+cluster" | "rediss+cluster":
                return _cluster(url)
    except Refused as error:
        raise ValueError(str(error)) from None
    return StoreUrl(plain=url, description=_description(url))


def _sentinel(url: str) -> StoreUrl:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    nodes = store_nodes(hosts, SENTINEL_PORT)
    service, _, database = parts.path.strip("/").partition("/")
    if not service or not (database or "0").isdecimal():
        raise ValueError("the store's URL names no service of the Sentinels, or a database that is no number")
    options = dict(parse_qsl(parts.query))
    username, password = options.pop("sentinel_username", None), options.pop("sentinel_password", None)
    return StoreUrl(
        plain=_plain(parts.scheme, login, nodes[0], database or "0", options),
        description=f"{parts.scheme}://{_hosts(nodes)}/{unquote(service)}/{database or '0'}",
        nodes=nodes,
        service=unquote(service),
        sentinel_username=username,
        sentinel_password=password,
    )


def _cluster(url: str) -> StoreUrl:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    nodes = store_nodes(hosts, CLUSTER_PORT)
    options = dict(parse_qsl(parts.query))
    if parts.path.strip("/") not in {"", "0"} or options.get("db", "0") != "0":
        raise ValueError("the store's URL names a database: a cluster has only the one numbered 0")
    return StoreUrl(
        plain=_plain(parts.scheme, login, nodes[0], "0", options),
        description=f"{parts.scheme}://{_hosts(nodes)}",
        nodes=nodes,
    )


def _plain(scheme: str, login: str, node: Node, database: str, options: dict[str, str]) -> str:
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"{scheme.partition('+')[0]}://{f'{login}@' if login else ''}{_hosts((node,))}/{database}{query}"


def _hosts(nodes: tuple[Node, ...]) -> str:
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nodes)


def _description(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError as error:
        raise ValueError("the store's URL has no valid host and port") from error
    match parts.scheme:
        case "unix" if parts.path:
            return f"unix://{unquote(parts.path)}"
        case "redis" | "rediss" if parts.hostname:
            return f"{parts.scheme}://{_hosts(((parts.hostname, port),))}/{parts.path.strip('/') or '0'}"
        case _:
            raise ValueError(f"store is neither `embedded` nor a URL: {FORMS}")
