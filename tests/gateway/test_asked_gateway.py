"""What a command is answered; the tests of ``keys``, ``usage`` and ``bill`` have how it is asked."""

import pytest

from gateway.asked_gateway import AskedGateway, NotAnswered


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:1", "http://"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(NotAnswered, match="no http:// or https:// address"):
        AskedGateway(url=url, key="env:NONE").ask("/")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_there_is_said(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERGATE_TEST_KEY", "sk-x")
    with pytest.raises(NotAnswered, match=r"127\.0\.0\.1:1"):
        AskedGateway(url=f"{scheme}://127.0.0.1:1", key="env:TIERGATE_TEST_KEY").ask("/")
