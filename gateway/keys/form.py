"""What is said of a new key, field by field: the tier map's words, without an owner, since that is the key."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from gateway.errors import InvalidRequest
from tiers.budget_document import BudgetDocument, LimitDocument
from tiers.build import budget_of, rates_of
from tiers.fields import Expiry, Globs
from tiers.form import Form, Text
from tiers.tiermap import Budget, Concurrency, Owner

BOUNDS_MAX = 20
"""Budgets, and limits, of one key."""
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")]
_Bounds = Annotated[list[dict[str, Any]], Field(max_length=BOUNDS_MAX)]


class NewKey(Form):
    """A key that is asked for."""

    name: _Name = Field(description="What budgets, routes and records call it; never used again.", examples=["ci"])
    team: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="", description="Whose it is.", examples=["research"]
    )
    tiers: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="The tiers it may use; all if left out.", examples=[["routing"]]
    )
    agents: Globs | None = Field(
        default=None, description="Shell globs of the agents that may use it.", examples=[["writer-*"]]
    )
    budgets: _Bounds = Field(
        default=[],
        description="As the tier map's, without `owner` and `alerts`.",
        examples=[[{"name": "daily", "limit": "5 USD", "window": "1d", "spent": "reject"}]],
    )
    limits: _Bounds = Field(
        default=[],
        description="As the tier map's, without `owner`.",
        examples=[[{"name": "pace", "requests_per_minute": 60}]],
    )
    expires: Expiry | None = Field(
        default=None, description="Until when it is taken: RFC 3339, or a date's end in UTC.", examples=["2027-01-31"]
    )
    may_make_keys: bool = Field(default=False, description="Whether it may make keys, with no more than it has.")


def read_key(written: object) -> NewKey:
    """The key that ``written`` asks for.

    Raises:
        InvalidRequest: It is not one; ``param`` is the first field at fault.
    """
    try:
        new = NewKey.model_validate(written)
        bounds_of(new.name, new.budgets, new.limits)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{field or 'The body'}: {first['msg']}.", param=field or None) from None
    return new


def bounds_of(
    name: str, budgets: Sequence[Mapping[str, Any]], limits: Sequence[Mapping[str, Any]]
) -> tuple[list[Budget], list[Concurrency]]:
    """Budgets, rates among them, and bounds on requests at once of the key ``name``, under names that begin with its.

    Raises:
        pydantic.ValidationError: One of them cannot be read.
    """
    owner = {"owner": {"key": name}}
    found = [budget_of(BudgetDocument.model_validate(_named(name, each) | owner)) for each in budgets]
    concurrency = []
    for each in limits:
        limit = LimitDocument.model_validate(_named(name, each) | owner)
        found += rates_of(limit)
        if limit.concurrency is not None:
            concurrency.append(
                Concurrency(name=limit.name, owner=Owner(kind="key", pattern=name), slots=limit.concurrency)
            )
    return found, concurrency


def _named(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    bound = {field: value for field, value in written.items() if field not in {"owner", "alerts"}}
    return bound | ({"name": f"{name}/{bound['name']}"} if isinstance(bound.get("name"), str) else {})
