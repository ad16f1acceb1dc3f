"""What a request holds on a budget: values that budgets and ledgers share."""

import msgspec

from tiers.tiermap import Spent
from tiers.windows import Window


class Concern(msgspec.Struct, frozen=True, cache_hash=True):
    """A budget that concerns a request, and whose it is; ``limit`` in ``unit`` (``USD`` is microdollars).

    ``owner`` is the name that the budget's pattern matched (a tier's, an agent's, …), ``*`` for the kind ``all``.
    """

    budget: str
    owner: str
    unit: str
    limit: int
    window: Window
    spent: Spent = "downgrade"
    rate: bool = False


class Hold(msgspec.Struct, frozen=True):
    """An amount to hold on one owner's budget, in its unit."""

    concern: Concern
    amount: int
