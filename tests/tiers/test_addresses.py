import pytest

from tiers import addresses
from tiers.problems import Refused
from tiers.tiermap import SecretReference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:9100/v1", "http://127.0.0.1:9100/v1"),
        ("https://api.runpod.ai/v2/abc/openai/v1/", "https://api.runpod.ai/v2/abc/openai/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://vllm_0", "http://vllm_0"),
    ],
)
def test_an_endpoints_url_loses_its_trailing_slash(text: str, expected: str) -> None:
    assert addresses.endpoint_url(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("127.0.0.1:9100/v1", "neither http nor https"),
        ("ftp://secret/v1", "neither http nor https"),
        ("http://secret:secret@host/v1", "user name or password"),
        ("http://host/v1?key=secret", "query or fragment"),
        ("http://host/v1?", "query or fragment"),
        ("http://host/v1#secret", "query or fragment"),
        ("http:///v1", "no valid host"),
        ("http://se$cret/v1", "no valid host"),
        ("http://host:secret/v1", "host or port"),
        ("http://host:0/v1", "port 0"),
        ("http://[secret/v1", "host or port"),
        ("http://host/se cret", "spaces"),
        ("http://höst/v1", "beyond ASCII"),
    ],
)
def test_a_url_that_cannot_serve_is_refused_and_not_repeated(text: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        addresses.endpoint_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "embedded",
        "redis://127.0.0.1:6379/0",
        "rediss://user:secret@store:6380/0",
        "redis://store",
        "unix:///run/valkey.sock",
    ],
)
def test_stores_that_can_be_used(text: str) -> None:
    assert addresses.store_url(text) == text


@pytest.mark.parametrize(
    "text",
    ["memory", "http://secret", "redis://", "redis://:secret@", "unix://", "redis://secret:port/0", "redis://a b"],
)
def test_a_store_that_cannot_be_used_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Refused) as caught:
        addresses.store_url(text)
    assert "secret" not in str(caught.value)


def test_secrets_are_references() -> None:
    assert addresses.secret_reference("env:ROUTING_KEY") == SecretReference("env", "ROUTING_KEY")
    assert addresses.secret_reference("file:/run/secrets/key") == SecretReference("file", "/run/secrets/key")


@pytest.mark.parametrize("text", ["sk-secret", "env:", "env:sk-secret", "file:", "file: ", "vault:secret", "file:a\nb"])
def test_a_literal_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Refused) as caught:
        addresses.secret_reference(text)
    assert "secret:" not in str(caught.value)
    assert "sk-" not in str(caught.value)
    assert "env:NAME" in caught.value.remedy


def test_a_hash_is_64_digits_in_lower_case() -> None:
    assert addresses.key_hash("sha256:" + "AB" * 32) == addresses.key_hash("ab" * 32) == "ab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 31, "zz" * 32, "md5:" + "ab" * 32])
def test_what_is_no_sha_256_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="SHA-256"):
        addresses.key_hash(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://hooks.test/services/T0/B1/x?y=1&z=%20", "https://hooks.test/services/T0/B1/x?y=1&z=%20"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("HTTPS://hooks.test/a", "HTTPS://hooks.test/a"),
        ("env:HOOK", SecretReference("env", "HOOK")),
        ("file:/run/secrets/hook", SecretReference("file", "/run/secrets/hook")),
    ],
)
def test_a_webhook_is_a_url_or_where_it_is_read(text: str, expected: object) -> None:
    assert addresses.webhook(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hooks.test/SECRET", "is no webhook"),
        ("ftp://hooks.test/SECRET", "is no webhook"),
        ("https://me:SECRET@hooks.test/", "holds a user"),
        ("https://hooks.test/#SECRET", "fragment"),
        ("https:///SECRET", "no valid host"),
        ("https://hooks.test:99999/SECRET", "host or port"),
        ("https://hooks.test/SEC RET", "spaces"),
    ],
)
def test_what_is_no_webhook_is_refused_and_not_repeated(text: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        addresses.webhook(text)
    assert "SECRET" not in str(caught.value)


def test_a_webhook_that_was_read_elsewhere_is_a_url() -> None:
    with pytest.raises(Refused, match="neither http nor https"):
        addresses.webhook_url("env:HOOK")


@pytest.mark.parametrize(
    "text",
    [
        "redis+sentinel://one:26379,two:26379/main",
        "rediss+sentinel://me:pw@one,[::1]:5/main/3?sentinel_username=you",
        "redis+cluster://one:6379,two:6379",
        "rediss+cluster://me:pw@one/0",
    ],
)
def test_a_store_of_several_servers_is_named_by_all_of_them(text: str) -> None:
    assert addresses.store_url(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("redis+sentinel://:SECRET@one", "no service"),
        ("redis+sentinel://:SECRET@one/main/x", "no service"),
        ("redis+sentinel://:SECRET@one:0/main", "not valid"),
        ("redis+cluster://:SECRET@one/2", "names a database"),
        ("redis+cluster://:SECRET@", "not valid"),
        ("redis+cluster://:SECRET@one:99999", "not valid"),
        ("redis+cluster://[SECRET", "not valid"),
        ("redis+cluster://SEC RET", "spaces"),
        ("redis+other://:SECRET@one", "neither"),
        ("redis+cluster:SECRET", "neither"),
    ],
)
def test_a_store_of_several_servers_that_is_none_is_refused_and_not_repeated(text: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        addresses.store_url(text)
    assert "SECRET" not in str(caught.value)
