"""Where processes meet, without a store."""

from collections.abc import Sequence

from gateway.errors import StoreUnavailable
from gateway.upstream.shared_health import UNUSED, News


class ScriptedHealth:
    """Fulfils ``gateway.upstream.shared_health.SharedHealth``.

    Attributes:
        leads: Whether the process looks.
        away: Nothing is heard.
        told: The latest news that it was told.
        others: What the others know, by endpoint.
    """

    def __init__(self) -> None:
        self.leads = True
        self.away = False
        self.told: Sequence[News] = ()
        self.others: dict[str, News] = {}

    async def exchange(self, news: Sequence[News], *, holds_seconds: float) -> tuple[bool, list[News]]:
        """See ``SharedHealth``."""
        assert holds_seconds > 0
        self.told = news
        if self.away:
            raise StoreUnavailable("away")
        return self.leads, [self.others.get(each.base, _nothing(each.base)) for each in news]


def _nothing(base: str) -> News:
    never = float("-inf")
    return News(base=base, level=UNUSED, waiting=0, worked_at=never, sample=None, sampled_at=never)
