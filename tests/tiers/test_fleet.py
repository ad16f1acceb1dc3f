"""What is to be deployed, as values."""

from tiers.fleet import Fleet


def test_a_map_that_says_nothing_deploys_nothing() -> None:
    assert (Fleet().deployments, Fleet().apps, dict(Fleet().secrets)) == ((), (), {})
