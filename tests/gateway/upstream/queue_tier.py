"""A tier whose answers are short, unless it is told otherwise."""

from tiers.price import TokenPrice
from tiers.tiermap import Endpoint, Tier

TIER = Tier(
    name="routing",
    model="router",
    price=TokenPrice(input_microdollars=1, output_microdollars=1),
    endpoints=(Endpoint(name="routing/0", url="https://api.runpod.test/v2/e", transport="runpod-queue"),),
    context=8192,
    output=100,
    slots=30,
)
