"""A tier map with all that it needs to be served: checked as ``tiergate-gateway check`` does, its secrets read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.settings import SettingsInvalid, read_secrets, secret_references
from gateway.upstream.litellm_package import INSTALL, LiteLlmMissing, load_package, provider_of
from gateway.upstream.litellm_prices import listed_price
from tiers.addresses import webhook_url
from tiers.fleet_addresses import addresses_of, state_file, with_addresses
from tiers.load import load
from tiers.problems import Problem, Refused, TierMapInvalid
from tiers.tiermap import SecretReference, Tier, TierMap

HASH_DIGITS = 12


class MapRejected(Exception):
    """A tier map cannot be served.

    Attributes:
        problems: Every one, in one line or several; none holds a secret.
        hash: See ``text_hash``; empty where the text could not be read.
    """

    def __init__(self, problems: tuple[str, ...], *, hash: str = "") -> None:  # noqa: A002 - as it is shown
        super().__init__("\n".join(problems))
        self.problems = problems
        self.hash = hash


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedMap:
    """A tier map that can be served; ``known`` holds its secrets."""

    tier_map: TierMap
    text: bytes = field(repr=False)
    known: Mapping[SecretReference, str] = field(repr=False)

    @property
    def hash(self) -> str:
        """See ``text_hash``."""
        return text_hash(self.text)

    @classmethod
    def of(cls, tier_map: TierMap, text: bytes) -> "CheckedMap":
        """One that was read and checked already.

        Raises:
            SettingsInvalid: A secret cannot be read, or is not what it is for; or an endpoint has no address yet.
        """
        _check_addresses(tier_map)
        known = read_secrets(secret_references(tier_map))
        _check_webhooks(tier_map, known)
        return cls(tier_map=tier_map, text=text, known=known)


def _check_addresses(tier_map: TierMap) -> None:
    missing = [
        endpoint.name
        for tier in tier_map.tiers.values()
        for endpoint in tier.endpoints
        if not endpoint.url and endpoint.transport != "litellm"
    ]
    if missing:
        raise SettingsInvalid(
            f"not deployed yet: {', '.join(missing)} - run `tiergate-deploy apply`, and see that its state is where"
            " --fleet-state says"
        )


def _check_webhooks(tier_map: TierMap, known: Mapping[SecretReference, str]) -> None:
    for budget in tier_map.budgets:
        if budget.alerts is not None and isinstance(budget.alerts.webhook, SecretReference):
            try:
                webhook_url(known[budget.alerts.webhook])
            except Refused as refused:
                raise SettingsInvalid(f"{budget.alerts.webhook}: {refused}") from None


def text_hash(text: bytes) -> str:
    """What a tier map's text is known by to people: the first digits of its SHA-256."""
    return hashlib.sha256(text).hexdigest()[:HASH_DIGITS]


def read_map(text: bytes, *, file: str) -> TierMap:
    """The tier map in ``text``, with prices that are left to LiteLLM's list looked up.

    Raises:
        TierMapInvalid: With every problem; also where a tier is called by LiteLLM, and that cannot be.
    """
    tier_map = load(text, file=file, listed=listed_price)
    problems = [_uncallable(tier, file) for tier in tier_map.tiers.values() if _by_litellm(tier)]
    found = [problem for problem in problems if problem is not None]
    if found:
        raise TierMapInvalid(found)
    return tier_map


def _by_litellm(tier: Tier) -> bool:
    return any(endpoint.transport == "litellm" for endpoint in tier.endpoints)


def _uncallable(tier: Tier, file: str) -> Problem | None:
    """Why LiteLLM cannot call the endpoints of ``tier``."""
    field, remedy = f"tiers.{tier.name}.model", "write it as provider/model, such as openai/gpt-4o-mini"
    try:
        provider_of(load_package(), tier.model)
    except LiteLlmMissing as missing:
        return Problem(
            file=file, line=1, column=1, field=f"tiers.{tier.name}.endpoints", message=str(missing), remedy=INSTALL
        )
    except ValueError as error:
        return Problem(file=file, line=1, column=1, field=field, message=str(error), remedy=remedy)
    return None


def check(text: bytes, *, file: str) -> CheckedMap:
    """Check ``text``, which was read from ``file``, and read its secrets.

    Raises:
        MapRejected: With every problem that was found.
    """
    try:
        return CheckedMap.of(read_map(text, file=file), text)
    except TierMapInvalid as error:
        raise MapRejected(tuple(map(str, error.problems)), hash=text_hash(text)) from error
    except SettingsInvalid as error:
        raise MapRejected((str(error),), hash=text_hash(text)) from error
    except Exception as error:  # whatever is in the file, a gateway that serves goes on
        problem = f"{file}: cannot be read as a tier map ({type(error).__name__}); tiergate-gateway check says more"
        raise MapRejected((problem,), hash=text_hash(text)) from error


def read_text(file: Path, fleet_state: Path | None = None) -> bytes:
    """The text of the tier map in ``file``, with the addresses of its deployed endpoints.

    Those are in ``fleet_state``, else beside the map; there are none where there is no such file.

    Raises:
        MapRejected: One of the two cannot be read.
    """
    state = state_file(file, fleet_state)
    try:
        text = file.read_bytes()
    except OSError as error:
        raise MapRejected((f"{file}: cannot be read: {error.strerror}",)) from error
    try:
        return with_addresses(text, addresses_of(state.read_bytes()))
    except FileNotFoundError:
        return text
    except OSError as error:
        raise MapRejected((f"{state}: cannot be read: {error.strerror}",)) from error
    except Refused as refused:
        raise MapRejected((f"{state}: {refused}",)) from refused


def read_and_check(file: Path, fleet_state: Path | None = None) -> CheckedMap:
    """Read ``file`` and check it. Raises as ``check``, also where it cannot be read."""
    return check(read_text(file, fleet_state), file=str(file))
