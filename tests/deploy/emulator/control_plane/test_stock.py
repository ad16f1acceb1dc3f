import pytest

from deploy.emulator.control_plane.stock import Stock, country
from deploy.emulator.model.config import CpuChoice, GpuChoice


def test_everything_is_free_until_it_is_sold_out() -> None:
    stock = Stock()
    assert stock.level("NVIDIA L4", "EU-RO-1", pool="AMPERE_24") == "HIGH"
    stock.sold_out.add(("AMPERE_24", "EU-RO-1"))
    assert stock.level("NVIDIA L4", "EU-RO-1", pool="AMPERE_24") == "NONE"
    assert stock.level("NVIDIA L4", "US-TX-3", pool="AMPERE_24") == "HIGH"
    stock.sold_out.add(("NVIDIA L4", "*"))
    assert stock.level("NVIDIA L4", "US-TX-3") == "NONE"


def test_one_pool_in_one_place_is_enough() -> None:
    stock = Stock({("ADA_24", "*"), ("AMPERE_80", "EU-RO-1"), ("cpu3c", "*")})
    choice = GpuChoice(pools=("ADA_24", "AMPERE_80"))
    assert not stock.offers(choice, ("EU-RO-1",))
    assert stock.offers(choice, ("EU-RO-1", "US-TX-3"))
    assert not stock.offers(CpuChoice(id="cpu3c", vcpu_count=2), ("EU-RO-1",))
    assert stock.offers(CpuChoice(id="cpu5c", vcpu_count=2), ("EU-RO-1",))


@pytest.mark.parametrize(("place", "code"), [("EU-RO-1", "RO"), ("US-TX-3", "US"), ("CA-MTL-1", "CA")])
def test_a_data_centers_name_tells_its_country(place: str, code: str) -> None:
    assert country(place) == code
