"""A tier map with its secrets, or all that is wrong with it."""

import hashlib
import sys
from pathlib import Path

import pytest

from gateway.checked_map import CheckedMap, MapRejected, check, read_and_check, read_map, read_text, text_hash
from tests.gateway.upstream.litellm_installed import need_litellm
from tests.tiers.samples import WHOLE, changed
from tiers.price import TokenPrice
from tiers.tiermap import SecretReference

TEXT = WHOLE.replace("file:/run/secrets/openai", "env:OPENAI_KEY").encode()
SECRETS = {"ROUTING_KEY": "sk-routing", "OPENAI_KEY": "sk-openai", "TIERGATE_DEMO_KEY": "sk-demo"}


@pytest.fixture(autouse=True)
def secrets_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def test_a_map_that_can_be_served_has_its_secrets_and_its_hash(tmp_path: Path) -> None:
    """The hash is of the file's bytes, so that ``sha256sum`` begins with it. No secret shows."""
    file = tmp_path / "tiers.yaml"
    file.write_bytes(TEXT)
    checked = read_and_check(file)
    assert list(checked.tier_map.tiers) == ["routing", "reasoning", "external"]
    assert checked.known == {SecretReference("env", name): value for name, value in SECRETS.items()}
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(checked.hash)
    assert len(checked.hash) == 12
    assert not any(secret in repr(checked) for secret in SECRETS.values())


def rejected(text: bytes) -> MapRejected:
    """What is said against it."""
    with pytest.raises(MapRejected) as caught:
        check(text, file="tiers.yaml")
    return caught.value


def test_every_problem_is_told_as_the_check_tells_it() -> None:
    """With file, line and field."""
    error = rejected(changed("slots: 24", "slotz: 24").encode())
    assert error.hash == text_hash(changed("slots: 24", "slotz: 24").encode())
    assert len(error.problems) == 2
    assert all(problem.startswith("tiers.yaml:") for problem in error.problems)
    assert "slotz" in str(error)


def test_secrets_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the start."""
    monkeypatch.delenv("ROUTING_KEY")
    monkeypatch.delenv("OPENAI_KEY")
    [problem] = rejected(TEXT).problems
    assert "env:ROUTING_KEY" in problem
    assert "env:OPENAI_KEY" in problem
    assert "sk-demo" not in problem


def test_webhooks_are_read_and_are_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is none is said before the map serves, and is not repeated."""
    text = TEXT.replace(b"window: 1d", b"window: 1d, alerts: {at: 80%, webhook: env:HOOK}")
    monkeypatch.setenv("HOOK", "https://hooks.test/T0?sig=1")
    assert check(text, file="tiers.yaml").known[SecretReference("env", "HOOK")] == "https://hooks.test/T0?sig=1"
    monkeypatch.setenv("HOOK", "hooks.test/very-secret")
    [problem] = rejected(text).problems
    assert problem.startswith("env:HOOK: the webhook's URL is neither http nor https")
    assert "very-secret" not in problem
    monkeypatch.delenv("HOOK")
    [problem] = rejected(text).problems
    assert "env:HOOK" in problem


def test_webhooks_that_stand_in_the_map_need_not_be_read() -> None:
    text = TEXT.replace(b"window: 1d", b'window: 1d, alerts: {at: 80%, webhook: "https://hooks.test/T0"}')
    assert len(check(text, file="tiers.yaml").known) == len(SECRETS)


@pytest.mark.parametrize("text", [b"", b"\x00", b"\xff\xfe\x00", b"[" * 5000, b"a: &a [*a]", b"1"], ids=repr)
def test_whatever_is_in_the_file_is_a_problem_and_no_fault(text: bytes) -> None:
    """A gateway that serves goes on."""
    assert rejected(text).problems


def test_what_the_reader_cannot_bear_is_a_problem_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by its kind."""

    def fail(text: bytes, *, file: str, listed: object) -> None:
        raise RecursionError(text, file, listed)

    monkeypatch.setattr("gateway.checked_map.load", fail)
    assert "RecursionError" in rejected(b"x").problems[0]


def test_a_file_that_is_not_there_has_no_hash(tmp_path: Path) -> None:
    """Its name is told."""
    with pytest.raises(MapRejected, match=r"nowhere\.yaml: cannot be read: No such file") as caught:
        read_and_check(tmp_path / "nowhere.yaml")
    assert caught.value.hash == ""


def test_one_that_was_checked_already_only_needs_its_secrets() -> None:
    """The gateway's start has read it."""
    first = check(TEXT, file="tiers.yaml")
    assert CheckedMap.of(first.tier_map, TEXT) == first


OVERFLOW = changed('{url: "https://api.openai.com/v1", api_key', "{transport: litellm, api_key")
"""The tier ``external``, called by LiteLLM."""


def test_a_price_that_is_left_to_litellms_list_is_looked_up() -> None:
    need_litellm()
    text = OVERFLOW.replace("price: {input: 0.15, output: 0.60}", "price: litellm")
    tier_map = read_map(text.encode(), file="tiers.yaml")
    price = TokenPrice(input_microdollars=150_000, output_microdollars=600_000)
    assert (tier_map.tiers["external"].price, tier_map.names["external"][0].price) == (price, price)


def test_a_price_that_is_not_on_the_list_is_a_problem_with_its_place() -> None:
    need_litellm()
    text = OVERFLOW.replace("price: {input: 0.15, output: 0.60}", "price: litellm").replace("gpt-4o-mini", "openai/no")
    [problem] = rejected(text.encode()).problems
    assert problem.startswith("tiers.yaml:24:5: tiers.external.price: LiteLLM's list has no price of the model")
    assert "write it: `price: {input: 0.15, output: 0.60}`" in problem


def test_a_model_whose_provider_nobody_knows_is_a_problem() -> None:
    need_litellm()
    [problem] = rejected(OVERFLOW.replace("gpt-4o-mini", "nobodys-model").encode()).problems
    assert "tiers.external.model: LiteLLM knows no provider of the model" in problem


def test_without_litellm_a_tier_that_needs_it_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is the command that installs it."""
    monkeypatch.setitem(sys.modules, "litellm", None)
    [problem] = rejected(OVERFLOW.encode()).problems
    assert problem.endswith("LiteLLM, which calls the tier, is not installed — pip install 'tiergate[litellm]'")


STATE = '{"version": 1, "endpoints": {"routing/0": {"id": "abc", "url": "https://api.runpod.ai/v2/abc"}}}'


def deployed(folder: Path) -> Path:
    """A tier map whose first endpoint is deployed."""
    file = folder / "tiers.yaml"
    text = TEXT.replace(b"- url: http://127.0.0.1:9100/v1\n        api_key: env:ROUTING_KEY", b"- deploy: {}")
    file.write_bytes(text)
    return file


def test_deployed_endpoints_have_their_addresses_from_the_state_beside_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go with the text, so that every process serves the same ones, and another address is another map."""
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_x")
    file, state = deployed(tmp_path), tmp_path / "tiers.fleet.json"
    state.write_text(STATE)
    first = read_and_check(file)
    assert first.tier_map.tiers["routing"].endpoints[0].url == "https://api.runpod.ai/v2/abc"
    assert check(first.text, file=str(file)) == first
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(STATE.replace("abc", "def"))
    second = read_and_check(file, elsewhere)
    assert second.tier_map.tiers["routing"].endpoints[0].url == "https://api.runpod.ai/v2/def"
    assert first.hash != second.hash


def test_an_endpoint_that_is_not_deployed_yet_is_told_by_name(tmp_path: Path) -> None:
    """It is checked without its address, and served with it alone."""
    file = deployed(tmp_path)
    assert read_map(read_text(file), file="tiers.yaml").tiers["routing"].endpoints[0].url == ""
    with pytest.raises(MapRejected, match="not deployed yet: routing/0 - run `tiergate-deploy apply`"):
        read_and_check(file)


@pytest.mark.parametrize("state", ["", "[]", '{"endpoints": {"a": 1}}'])
def test_a_state_that_cannot_be_read_is_told(tmp_path: Path, state: str) -> None:
    (tmp_path / "tiers.fleet.json").write_text(state)
    with pytest.raises(MapRejected, match=r"tiers\.fleet\.json: the fleet's state cannot be read"):
        read_and_check(deployed(tmp_path))
    (tmp_path / "tiers.fleet.json").unlink()
    (tmp_path / "tiers.fleet.json").mkdir()
    with pytest.raises(MapRejected, match="cannot be read: Is a directory"):
        read_and_check(deployed(tmp_path))
