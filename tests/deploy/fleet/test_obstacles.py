"""What hinders a plan; how each is found is in test_plan.py beside it."""

from deploy.fleet.change import World
from deploy.fleet.obstacles import obstacles
from deploy.fleet.state import FleetState
from tests.deploy.fleet.worlds import fleet, wanted


def test_nothing_hinders_what_fits() -> None:
    one = fleet()
    assert list(obstacles(one, wanted(one), World(secrets=()), FleetState(), 3)) == []


def test_each_says_what_to_do() -> None:
    one = fleet(quota=2)
    [found] = obstacles(one, wanted(one), World(secrets=()), FleetState(), 3)
    assert "its quota is 2" in found.message
    assert "`fleet.quota`" in found.remedy
