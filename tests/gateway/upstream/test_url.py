"""``gateway.upstream.url``."""

import pytest

from gateway.upstream.url import parse_address


@pytest.mark.parametrize(
    ("url", "path", "target"),
    [
        ("http://h:9100/v1", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("http://h:9100/v1", b"/tokenize", b"/tokenize"),
        (
            "https://api.runpod.ai/v2/abc/openai/v1",
            b"/v1/chat/completions",
            b"/v2/abc/openai/v1/chat/completions",
        ),
        ("https://api.runpod.ai/v2/abc/openai/v1", b"/tokenize", b"/v2/abc/openai/tokenize"),
        ("http://h/x", b"/v1/chat/completions", b"/x/chat/completions"),
        ("http://h/x", b"/tokenize", b"/x/tokenize"),
        ("http://h/v1/", b"/v1/models", b"/v1/models"),
        ("http://h", b"/v1/models", b"/models"),
        ("http://h/my-v1", b"/tokenize", b"/my-v1/tokenize"),
        ("http://h/v1", b"/v1x", b"/v1x"),
    ],
)
def test_the_base_url_stands_for_openais_v1(url: str, path: bytes, target: bytes) -> None:
    assert parse_address(url).target(path) == target


@pytest.mark.parametrize(
    ("url", "authority", "host", "port", "name"),
    [
        ("http://h/v1", b"h", "h", 80, "h:80"),
        ("https://H.example/v1", b"h.example", "h.example", 443, "h.example:443"),
        ("https://h:8443/v1", b"h:8443", "h", 8443, "h:8443"),
        ("http://h:443/v1", b"h:443", "h", 443, "h:443"),
        ("http://[::1]:9100/v1", b"[::1]:9100", "::1", 9100, "[::1]:9100"),
        ("http://[::1]/v1", b"[::1]", "::1", 80, "[::1]:80"),
        ("http://bücher.example/v1", b"xn--bcher-kva.example", "xn--bcher-kva.example", 80, None),
    ],
)
def test_host_and_port_come_from_the_url(url: str, authority: bytes, host: str, port: int, name: str | None) -> None:
    address = parse_address(url)

    assert (address.authority, address.host, address.port) == (authority, host, port)
    assert address.name == (name or f"{host}:{port}")
    assert address.secure == url.startswith("https")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://secret/v1",
        "secret:9100/v1",
        "http://secret@h/v1",
        "http://u:secret@h/v1",
        "http://h:secret/v1",
        "http://h:0/v1?secret",
        "http://h:0/secret",
        "http://h:99999/secret",
        "http://h/v1?key=secret",
        "http://h/v1#secret",
        "http:///secret",
        "http://[::secret/v1",
        "http://h/secret path",
        "http://h/sécret",
        "http://secret..h/v1",
        "http://secret h/v1",
    ],
)
def test_a_url_that_cannot_be_called_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint's URL") as caught:
        parse_address(url)

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)
