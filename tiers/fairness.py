"""A line in which nobody is starved: who serves whom next, where many flows share one place.

Start-time fair queueing with equal shares: each request gets a tag, one more than the later of its flow's last tag and
the tag that was served last; the smallest tag is next. So flows take turns, however many requests one of them has
waiting; within a flow the order is that of arrival; and a flow that comes anew waits for one turn of each of the
others. Requests of a higher priority go before all of a lower one.

Source: P. Goyal, H. M. Vin, H. Cheng, "Start-time Fair Queuing", SIGCOMM 1996.
"""

from bisect import bisect_left, insort


class Place:
    """One request's place in a line; ``flow`` is whose it is."""

    __slots__ = ("flow", "order", "priority")

    def __init__(self, flow: str, priority: int, order: tuple[int, int, int]) -> None:
        self.flow = flow
        self.priority = priority
        self.order = order


class FairLine:
    """Those who wait for one thing."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._waiting: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._served = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._places)

    @property
    def first(self) -> Place | None:
        """Whose turn it is."""
        return self._places[0] if self._places else None

    def join(self, flow: str, priority: int = 0) -> Place:
        """Take a place for a request of ``flow``."""
        place = self.place(flow, priority)
        self.rejoin(place)
        return place

    def place(self, flow: str, priority: int = 0) -> Place:
        """A place for a request of ``flow``, not taken yet."""
        tag = max(self._served, self._tags.get(flow, 0)) + 1
        self._tags[flow] = tag
        self._arrivals += 1
        return Place(flow, priority, (-priority, tag, self._arrivals))

    def rejoin(self, place: Place) -> None:
        """Take a place that is not taken yet, or again one that was left before."""
        insort(self._places, place, key=_order)
        self._waiting[place.flow] = self._waiting.get(place.flow, 0) + 1

    def leave(self, place: Place, *, served: bool) -> None:
        """Give up a place that was taken, ``served`` or not.

        Raises:
            ValueError: Nobody is there.
        """
        index = bisect_left(self._places, place.order, key=_order)
        if index == len(self._places) or self._places[index] is not place:
            raise ValueError("nobody has this place")
        del self._places[index]
        self._waiting[place.flow] -= 1
        if served:
            self._served = max(self._served, place.order[1])
        if not self._waiting[place.flow]:
            del self._waiting[place.flow]
        if not self._places:
            # Nobody is owed a turn: what was is forgotten, and with it the names of flows that are gone.
            self._tags.clear()
            self._served = 0

    def displaced_by(self, flow: str, priority: int = 0) -> Place | None:
        """Who has to go from a full line so that a request of ``flow`` can come in: the last of the flow that has most
        waiting, where that is at least two more than ``flow`` has, or of a lower priority. ``None`` is nobody.
        """
        lower = [place for place in self._places if place.priority < priority]
        if lower:
            return lower[-1]
        if not self._waiting:
            return None
        greediest = max(self._waiting, key=lambda name: self._waiting[name])
        if self._waiting[greediest] < self._waiting.get(flow, 0) + 2:
            return None
        return next((one for one in reversed(self._places) if one.flow == greediest and one.priority <= priority), None)


def _order(place: Place) -> tuple[int, int, int]:
    return place.order
