"""Equal values of many tiers are one object."""

from dataclasses import replace

from tests.gateway.samples import token_tier
from tiers.sharing import shared
from tiers.tiermap import Timeouts


def test_what_is_equal_in_several_tiers_is_one_object() -> None:
    """And the tiers are what they were."""
    tiers = {name: token_tier(name, model="m", timeouts=Timeouts(total=90.0)) for name in ("routing", "reasoning")}
    made = shared(tiers)
    assert made == tiers
    one, other = made.values()
    for field in ("model", "price", "queue", "timeouts", "retry", "breaker"):
        assert getattr(one, field) is getattr(other, field)
    assert one.endpoints[0].timeouts is other.endpoints[0].timeouts


def test_what_differs_stays_different() -> None:
    """To the last digit."""
    slow = token_tier("slow")
    quick = replace(token_tier("quick"), timeouts=replace(slow.timeouts, total=slow.timeouts.total + 1))
    made = shared({"slow": slow, "quick": quick})
    assert made["quick"].timeouts.total == made["slow"].timeouts.total + 1
