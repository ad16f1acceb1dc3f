"""What is secret is found wherever it is in a value, and never repeated."""

import pytest
from pydantic import JsonValue

from orchestrator.errors import ValueNotKept
from orchestrator.runs.kept_secrets import KeptSecrets
from orchestrator.settings import Secret

SECRETS = KeptSecrets([Secret("canary-key"), Secret("short"), Secret('with "quotes"'), Secret("")])


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("canary-key", "output"),
        ({"a": ["x", "Bearer canary-key!"]}, "output.a[1]"),
        ({"canary-key": 1}, "output"),
        ({"v": {"$": "model", "v": ["short"]}}, "output.v.v[0]"),
    ],
)
def test_a_secret_is_refused_with_its_place(value: JsonValue, place: str) -> None:
    with pytest.raises(ValueNotKept) as refused:
        SECRETS.refuse(value, where="output")
    assert str(refused.value).startswith(f"{place} holds the gateway's key or the store's password")
    assert "canary" not in str(refused.value)


def test_what_only_looks_like_one_is_kept() -> None:
    SECRETS.refuse({"a": ["a short story", "canary key", None, 1.5, ""]}, where="output")
    KeptSecrets().refuse("canary-key", where="output")


def test_messages_lose_their_secrets() -> None:
    assert SECRETS.without("401 for canary-key, a short one") == "401 for ***, a short one"
    assert SECRETS.scrubbed({"a": ["canary-key", 'x with "quotes" y'], "b": 1}) == {"a": ["***", "x *** y"], "b": 1}
    same: dict[str, JsonValue] = {"a": 1}
    assert SECRETS.scrubbed(same) is same
