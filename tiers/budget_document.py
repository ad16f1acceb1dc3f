"""The form of the tier map's budgets and limits, field by field; see ``tiers.document``."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from tiers.fields import Limit, Percentages, TimeZone, Webhook, Window
from tiers.form import Form, Text
from tiers.tiermap import Spent
from tiers.zones import UTC

RATES: Final = ("requests_per_minute", "tokens_per_minute", "concurrency")
"""The bounds of a limit, of which it has one at least."""


class OwnerDocument(Form):
    """Who a budget belongs to: exactly one kind. Each name that its shell glob matches has a balance."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    tier: Text | None = Field(default=None, description="Tiers.", examples=["reasoning"])
    agent: Text | None = Field(default=None, description="Agents, by name.", examples=["*"])
    key: Text | None = Field(default=None, description="Keys, by name.", examples=["demo"])
    team: Text | None = Field(default=None, description="Teams of keys, by name.", examples=["research"])
    flow: Text | None = Field(default=None, description="Flows, by name.", examples=["research"])
    run: Text | None = Field(default=None, description="Runs of Flows, by id.", examples=["*"])
    all: Literal["*"] | None = Field(default=None, description="Everything, in one balance.", examples=["*"])


class AlertsDocument(Form):
    """Who is told when a budget is spent to a part, once per window, owner and part."""

    at: Percentages = Field(description="Parts of the limit, in percent.", examples=[["50%", "80%", "100%"]])
    webhook: Webhook = Field(
        description="Where to: a URL, or where that is to be read at start: `env:NAME` or `file:PATH`.",
        examples=["env:BUDGET_WEBHOOK", "https://hooks.example.com/budgets"],
    )


class BudgetDocument(Form):
    """What an owner may spend per window."""

    name: Text = Field(description="What errors and records call this budget.", examples=["reasoning-daily"])
    owner: OwnerDocument = Field(description="Who it belongs to.", examples=[{"tier": "reasoning"}])
    limit: Limit = Field(
        description="How much: US dollars, GPU time, tokens (in and out) or requests.",
        examples=["50 USD", "3000 GPU seconds", "2M tokens", "500k tokens", "100 requests"],
    )
    window: Window = Field(
        description=(
            "Per how long. `1h`, `1d`, `1w` and `1mo` begin with the calendar's hour, day, week (on Monday) and month;"
            " other lengths at multiples of themselves since 1970 in UTC."
        ),
        examples=["1h", "1d", "1w", "1mo", "6h"],
    )
    timezone: TimeZone = Field(
        default=UTC,
        description="Whose calendar: a time zone's IANA name.",
        examples=["Europe/Berlin"],
    )
    rolling: bool = Field(
        default=False,
        description="Whether the window is the time up to now, without a beginning; 1mo is then 30 days.",
        examples=[True],
    )
    spent: Spent = Field(
        default="downgrade",
        description=(
            "What a request does for which not enough is left: go to the tier's cheaper tier where it has one, else be"
            " refused (`downgrade`); be refused (`reject`); or be served all the same and only be reported (`shadow`)."
        ),
        examples=["reject"],
    )
    alerts: AlertsDocument | None = Field(
        default=None,
        description="Who is told when it is spent to a part.",
        examples=[{"at": ["80%", "100%"], "webhook": "env:BUDGET_WEBHOOK"}],
    )


class LimitDocument(Form):
    """How much an owner may ask for per minute, and at once; at least one of the three."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [rate]} for rate in RATES]})

    name: Text = Field(description="What errors and records call this limit.", examples=["per-agent"])
    owner: OwnerDocument = Field(description="Who it belongs to.", examples=[{"agent": "*"}])
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="Requests in any 60 seconds.", examples=[60]
    )
    tokens_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = Field(
        default=None, description="Tokens, in and out, in any 60 seconds.", examples=[100000]
    )
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Requests at once, over all gateway processes.", examples=[4]
    )
