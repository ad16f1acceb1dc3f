"""``tiergate-gateway bill`` against a server that answers as it is told; ``test_direct_bill`` has the rest."""

import pytest

from gateway.cli import main
from tests.gateway.test_usage_command import answering


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERGATE_KEY", "the-admin-key")


def test_the_bill_is_printed_as_the_gateway_says(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, "day  tier\n") as (url, asked):
        assert main(["bill", "--gateway", url, "--since", "2d", "--tier", "a b"]) == 0
    assert capsys.readouterr().out == "day  tier\n"
    assert asked == [("/tiergate/v1/bill?since=2d&tier=a+b&format=table", "Bearer the-admin-key")]


def test_a_gateway_that_refuses_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(404, '{"error": {"message": "No key."}}') as (url, _):
        assert main(["bill", "--gateway", url]) == 1
    assert "No key." in capsys.readouterr().err


def test_somebody_has_to_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bill"]) == 2
    assert "--gateway" in capsys.readouterr().err
