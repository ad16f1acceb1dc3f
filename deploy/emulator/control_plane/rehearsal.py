"""What goes wrong with the control plane on demand, and the routes by which whoever runs the emulator says so.

    GET    /emulator/control-plane    what is switched on
    PATCH  /emulator/control-plane    {"soldOut": [["ADA_24", "EU-RO-1"], ["cpu3c", "*"]], "missingImages": ["a:1"],
                                       "status": 503, "remaining": 2, "lostAnswers": 1}; what is left out stays as it is
    DELETE /emulator/control-plane    switch all off

They belong to the emulator's own API: no key is asked for.
"""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.emulator.control_plane.bodies import Body
from deploy.emulator.control_plane.problems import Problem
from deploy.emulator.control_plane.reading import read_body
from deploy.emulator.control_plane.routing import Handler, resource
from deploy.emulator.control_plane.stock import Stock

PATH = "/emulator/control-plane"


class RehearsalBody(Body):
    """What is to change."""

    sold_out: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    missing_images: list[str] = Field(default_factory=list)
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    remaining: Annotated[int, Field(ge=0)] | None = None
    lost_answers: Annotated[int, Field(ge=0)] = 0


@dataclass(slots=True)
class Rehearsal:
    """What is switched on. All of it is off at first.

    Attributes:
        stock: What is sold out.
        missing_images: Images that do not exist, beside those that never do.
        status: Calls are answered with this status instead of being served.
        remaining: For ``status``: how many calls are still hit; ``None`` is all.
        lost_answers: So many calls that change something are served, and answered with 504 all the same.
    """

    stock: Stock = field(default_factory=Stock)
    missing_images: set[str] = field(default_factory=set)
    status: int | None = None
    remaining: int | None = None
    lost_answers: int = 0

    def loses(self, method: str) -> bool:
        """Whether this call's answer is lost, counting it."""
        if self.lost_answers == 0 or method == "GET":
            return False
        self.lost_answers -= 1
        return True

    def outage(self) -> int | None:
        """The status with which this call is refused, counting it; ``None`` where it is served."""
        if self.status is None or self.remaining == 0:
            return None
        if self.remaining is not None:
            self.remaining -= 1
        return self.status

    def routes(self) -> list[Route]:
        """The routes; they need no state but this."""
        return [resource(PATH, get=self._read, patch=_told(self._change), delete=self._clear)]

    async def _read(self, _: Request) -> Response:
        return JSONResponse(
            {
                "soldOut": sorted(list(pair) for pair in self.stock.sold_out),
                "missingImages": sorted(self.missing_images),
                "status": self.status,
                "remaining": self.remaining,
                "lostAnswers": self.lost_answers,
            }
        )

    async def _change(self, request: Request) -> Response:
        body = await read_body(request, RehearsalBody)
        if body.sets("sold_out"):
            self.stock.sold_out = {(machine, place) for machine, place in body.sold_out}
        if body.sets("missing_images"):
            self.missing_images = set(body.missing_images)
        if body.sets("status"):
            self.status = body.status
        if body.sets("remaining"):
            self.remaining = body.remaining
        if body.sets("lost_answers"):
            self.lost_answers = body.lost_answers
        return await self._read(request)

    async def _clear(self, request: Request) -> Response:
        self.stock.sold_out.clear()
        self.missing_images.clear()
        self.status = self.remaining = None
        self.lost_answers = 0
        return await self._read(request)


def _told(handler: Handler) -> Handler:
    """A handler whose problems are told wherever it is mounted."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()

    return answer
