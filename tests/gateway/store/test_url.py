"""URLs of every kind of store; what redis-py makes of the plain ones is tested in ``test_address``."""

import pytest

from gateway.store.url import StoreUrl, parse_store_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "redis://:hunter2@cache:7000/3",
            StoreUrl(plain="redis://:hunter2@cache:7000/3", description="redis://cache:7000/3"),
        ),
        (
            "redis+sentinel://me:hunter2@one,[::1]:5/tier%20gate/2?sentinel_username=you&sentinel_password=p%26q&socket_timeout=1",
            StoreUrl(
                plain="redis://me:hunter2@one:26379/2?socket_timeout=1",
                description="redis+sentinel://one:26379,[::1]:5/tier gate/2",
                nodes=(("one", 26379), ("::1", 5)),
                service="tier gate",
                sentinel_username="you",
                sentinel_password="p&q",
            ),
        ),
        (
            "rediss+sentinel://one:1/main?ssl_ca_certs=/etc/ca%20x.pem",
            StoreUrl(
                plain="rediss://one:1/0?ssl_ca_certs=%2Fetc%2Fca%20x.pem",
                description="rediss+sentinel://one:1/main/0",
                nodes=(("one", 1),),
                service="main",
            ),
        ),
        (
            "rediss+cluster://:hunter2@one,two:7001",
            StoreUrl(
                plain="rediss://:hunter2@one:6379/0",
                description="rediss+cluster://one:6379,two:7001",
                nodes=(("one", 6379), ("two", 7001)),
            ),
        ),
    ],
)
def test_a_url_says_who_knows_where_the_store_is(url: str, expected: StoreUrl) -> None:
    """And its secrets are not shown."""
    found = parse_store_url(url)
    assert found == expected
    assert "hunter2" not in repr(found)
    assert "p&q" not in repr(found)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis+sentinel://:hunter2@one", "no service"),
        ("redis+sentinel://:hunter2@one/main/first", "no number"),
        ("redis+sentinel://:hunter2@one:x/main", "not valid"),
        ("redis+sentinel://:hunter2@/main", "not valid"),
        ("redis+cluster://:hunter2@one,,two", "not valid"),
        ("redis+cluster://:hunter2@one:70000", "not valid"),
        ("redis+cluster://:hunter2@one/1", "names a database"),
        ("redis+cluster://:hunter2@one?db=1", "names a database"),
        ("redis+other://:hunter2@one", "neither"),
        ("redis+cluster://[:hunter2@one", "no valid host"),
    ],
)
def test_what_is_no_url_of_a_store_is_refused_and_not_repeated(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_store_url(url)
    assert "hunter2" not in str(caught.value)
