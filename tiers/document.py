"""The form of ``tiers.yaml``: what operators write, field by field.

These models check single values and turn them into the domain's (durations into seconds, amounts into
integers). What several fields must agree on is in ``tiers.consistency``, ``tiers.references``,
``tiers.reachability`` and ``tiers.fit``. ``tiers.schema`` makes the JSON Schema for editors from here, so
descriptions speak to operators.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator

from tiers.budget_document import BudgetDocument, LimitDocument
from tiers.fields import (
    Comparing,
    Duration,
    Expiry,
    Globs,
    GpuName,
    KeyHash,
    ModelName,
    Money,
    Parameters,
    Patterns,
    PositiveDuration,
    Price,
    ResponseFormats,
    SecretName,
    Store,
    Url,
)
from tiers.fleet_document import DeployDocument, FleetDocument
from tiers.form import Form, Text
from tiers.tiermap import TransportKind

LISTED: Final = "litellm"
PRIORITY_MAX: Final = 10
Tokens = Annotated[int, Field(ge=1, le=10_000_000)]


class EndpointTimeoutsDocument(Form):
    """How long the gateway waits for this endpoint, where that differs from its tier."""

    connect: PositiveDuration | None = Field(
        default=None, description="For a connection (TCP and TLS).", examples=["5s"]
    )
    headers: PositiveDuration | None = Field(
        default=None, description="From sending a request to the head of its answer.", examples=["90s"]
    )
    first_token: PositiveDuration | None = Field(
        default=None,
        description="From sending a stream's request to the first event with content.",
        examples=["15s"],
    )
    idle: PositiveDuration | None = Field(
        default=None, description="Between two pieces of an answer.", examples=["30s"]
    )


class WorkersDocument(Form):
    """What stands behind a Runpod endpoint, as it is configured there."""

    max: Annotated[int, Field(ge=1, le=1000)] = Field(default=3, description="Workers at most.", examples=[2])
    slots: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=30,
        description="Requests that one worker takes at once: `MAX_CONCURRENCY` of worker-vllm.",
        examples=[30],
    )
    idle_timeout: PositiveDuration = Field(
        default=10.0,
        description="So long a worker without work is kept, and billed: its idle timeout.",
        examples=["30s"],
    )


class EndpointDocument(Form):
    """One address that serves a tier."""

    url: Url | None = Field(
        default=None,
        description=(
            "Base URL of an OpenAI-compatible server, up to and including `/v1`. May be left out with `litellm`: the"
            " provider's own; and with `deploy`: Runpod's."
        ),
        examples=["http://127.0.0.1:9100/v1", "https://api.runpod.ai/v2/<endpoint id>/openai/v1"],
    )
    transport: TransportKind | None = Field(
        default=None,
        description=(
            "How it is spoken to: `openai` (any OpenAI-compatible server), `runpod-queue` or `runpod-load-balancer` (an"
            " endpoint of Runpod of that type), `litellm` (the provider that the tier's `model` begins with). Left out,"
            " the URL decides: Runpod's own addresses are known."
        ),
        examples=["runpod-queue"],
    )
    workers: WorkersDocument = Field(
        default=WorkersDocument(),
        description="For Runpod endpoints: what stands behind it, as it is configured there.",
        examples=[{"max": 2, "slots": 30}],
    )
    api_key: SecretName | None = Field(
        default=None,
        description=(
            "Where the endpoint's key is to be read: `env:NAME` or `file:PATH`; if left out none, with `deploy`"
            " `env:RUNPOD_API_KEY`."
        ),
        examples=["env:RUNPOD_API_KEY", "file:/run/secrets/runpod"],
    )
    timeouts: EndpointTimeoutsDocument = Field(
        default=EndpointTimeoutsDocument(),
        description="Its own timeouts; what is left out is the tier's. `total` is always the tier's.",
        examples=[{"headers": "90s", "first_token": "15s"}],
    )
    deploy: DeployDocument | None = Field(
        default=None,
        description="What `tiergate-deploy` is to make on Runpod for it; its URL comes from there.",
        examples=[{"tool_parser": "hermes", "gpus": ["L4"]}],
    )


class QueueDocument(Form):
    """How many requests may wait for a slot in one gateway process, and for how long."""

    length: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=100, description="Requests that may wait; one more is refused at once.", examples=[200]
    )
    wait: Duration = Field(
        default=30.0, description="The longest wait; after it the request is refused.", examples=["30s"]
    )


class TimeoutsDocument(Form):
    """How long the gateway waits for an endpoint."""

    connect: PositiveDuration = Field(default=5.0, description="For a connection (TCP and TLS).", examples=["5s"])
    headers: PositiveDuration = Field(
        default=600.0, description="From sending a request to the head of its answer.", examples=["90s"]
    )
    first_token: PositiveDuration | None = Field(
        default=None,
        description=(
            "From sending a stream's request to the first event with content; until then nothing of the answer is sent"
            " on, so that another endpoint or tier can still be asked. Without it there is no limit but the others."
        ),
        examples=["15s"],
    )
    idle: PositiveDuration = Field(default=60.0, description="Between two pieces of an answer.", examples=["60s"])
    total: PositiveDuration = Field(
        default=600.0,
        description="For a whole request, all attempts included. A request reserves this much GPU time.",
        examples=["10m"],
    )


class RetryDocument(Form):
    """How often and how soon a request that failed is tried again."""

    attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        default=4,
        description=(
            "Tries of one request in all, over endpoints and tiers. Each tier that is to follow has one of them kept"
            " for it; the rest repeat what failed at the same tier."
        ),
        examples=[3],
    )
    backoff: Duration = Field(
        default=0.2,
        description="The wait before a tier is tried again is drawn from 0 to this; the bound doubles from try to try.",
        examples=["200ms"],
    )
    backoff_max: Duration = Field(default=5.0, description="The largest such bound.", examples=["5s"])
    retry_after_max: Duration = Field(
        default=5.0,
        description="The longest `Retry-After` that is waited for; for a longer one the next tier is asked at once.",
        examples=["2s"],
    )


class BreakerDocument(Form):
    """When an endpoint is left alone, and how it is found out that it is well again."""

    failures: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="Failures in a row after which it is left alone.", examples=[3]
    )
    within: PositiveDuration = Field(
        default=30.0, description="How old the first of these failures may be.", examples=["30s"]
    )
    open: PositiveDuration = Field(
        default=5.0,
        description="How long it is left alone; twice as long each time that it is still not well.",
        examples=["5s"],
    )
    open_max: PositiveDuration = Field(default=20.0, description="The longest such time.", examples=["1m"])
    probe: Literal["auto", "models", "health", "none"] = Field(
        default="auto",
        description=(
            "What the gateway asks an endpoint that was left alone: `models` (`GET /models`, which wakes a Runpod"
            " worker), `health` (`GET /health`), or `none`, so that one request of a caller is the trial. `auto` is"
            " Runpod's own health address for Runpod's endpoints, which wakes none, and `models` for others."
        ),
        examples=["models"],
    )


class PriceDocument(Form):
    """A price per token, for a tier that is not paid by GPU time."""

    input: Price = Field(description="US dollars per million tokens of prompt.", examples=[0.15])
    output: Price = Field(description="US dollars per million tokens of answer.", examples=[0.60])


class ListedPriceDocument(PriceDocument):
    """In place of a price the word ``litellm``: what LiteLLM's list says."""


def _given_or_listed(value: object, given: ValidatorFunctionWrapHandler) -> object:
    """One word stands beside the form; as a union of types each mistake in a price would be told of twice."""
    return ListedPriceDocument.model_construct(input=0, output=0) if value == LISTED else given(value)


def _add_listed(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"const": LISTED, "type": "string"})


CLOSED: Final = "closed"


class OutageDocument(Form):
    """What one gateway process may spend on the tier while the store cannot be asked; none with ``closed``."""

    open: Money = Field(
        description=(
            "Serve within this allowance, which each gateway process has in each outage; what was spent is booked when"
            " the store is back."
        ),
        examples=["0.50 USD"],
    )


def _open_or_closed(value: object, given: ValidatorFunctionWrapHandler) -> object:
    """As with prices, one word stands beside the form."""
    return None if value == CLOSED else given(value)


def _with_closed(schema: dict[str, Any]) -> None:
    form, _ = schema.pop("anyOf")
    schema["anyOf"] = [form, {"const": CLOSED, "type": "string"}]
    schema["default"] = CLOSED


class ModelDocument(Form):
    """A model and the GPU that it runs on: what decides whether it fits."""

    model: ModelName = Field(
        description="The name under which the endpoints serve the model; sent to them as `model`.",
        examples=["meta-llama/Llama-3.1-8B-Instruct"],
    )
    gpu: GpuName | None = Field(
        default=None,
        description="The GPU of its workers; gives price and memory. Either this or `price`.",
        examples=["RTX 4090"],
    )
    gpu_count: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="GPUs in one worker.", examples=[2])
    parameters: Parameters | None = Field(
        default=None,
        description="The model's size, to check that it fits its GPU; only if its name does not tell.",
        examples=["8B", "8x7B", "135M"],
    )
    weights: Literal["16bit", "8bit", "4bit"] | None = Field(
        default=None,
        description="How its weights are stored, to check that it fits; only if its name does not tell.",
        examples=["4bit"],
    )


class TierDocument(ModelDocument):
    """A named class of service: one model, one GPU class or token price, one promise."""

    aliases: list[ModelName] = Field(
        default=[], description="Other names that callers may use for this tier.", examples=[["gpt-4.1-mini"]]
    )
    price: Annotated[PriceDocument | None, WrapValidator(_given_or_listed)] = Field(
        default=None,
        description="Price per million tokens, for a tier without `gpu`; `litellm` is what LiteLLM's list says.",
        examples=[{"input": 0.15, "output": 0.60}, LISTED],
        json_schema_extra=_add_listed,
    )
    endpoints: Annotated[list[EndpointDocument], Field(min_length=1)] = Field(
        description="The addresses that serve this tier.", examples=[[{"url": "http://127.0.0.1:9100/v1"}]]
    )
    context: Tokens = Field(
        description="Tokens of prompt and answer together, as the endpoints are configured.", examples=[16384]
    )
    output: Tokens | None = Field(
        default=None,
        description=(
            "Tokens of an answer when the caller sets no limit: the gateway asks the endpoint for no more, where the"
            " prompt leaves room for that many. Without it an answer may fill the context."
        ),
        examples=[1024],
    )
    template_tokens: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=256,
        description="Tokens that the model's chat template adds of its own at most: budgets hold them for each prompt.",
        examples=[512],
    )
    slots: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="Requests at once, over all endpoints and gateway processes.", examples=[24]
    )
    queue: QueueDocument = Field(
        default=QueueDocument(),
        description="How many requests may wait for a slot, and how long.",
        examples=[{"length": 200, "wait": "30s"}],
    )
    timeouts: TimeoutsDocument = Field(
        default=TimeoutsDocument(),
        description="How long the gateway waits for the endpoints.",
        examples=[{"total": "5m"}],
    )
    retry: RetryDocument = Field(
        default=RetryDocument(),
        description="How often and how soon a request that failed is tried again.",
        examples=[{"attempts": 3, "backoff": "100ms"}],
    )
    breaker: BreakerDocument = Field(
        default=BreakerDocument(),
        description="When an endpoint is left alone, and how it is found out that it is well again.",
        examples=[{"failures": 5, "open": "10s"}],
    )
    affinity: Literal["none", "session", "prefix"] = Field(
        default="none",
        description=(
            "Which requests go to the same one of several endpoints, for its cache: those of one `session` (the run, or"
            " the agent), or those whose messages begin with the same kibibyte (`prefix`)."
        ),
        examples=["session"],
    )
    continue_: bool = Field(
        default=False,
        alias="continue",
        description="Whether another worker of the same model goes on with a stream that broke; needs vLLM.",
        examples=[True],
    )
    fallback: list[Text] = Field(
        default=[],
        description="Tiers to try, in this order, when this one fails before its first byte.",
        examples=[["reasoning"]],
    )
    escalation: list[Text] = Field(
        default=[],
        description="Tiers for requests that do not fit into this one's context; each has a larger one than the last.",
        examples=[["long-context"]],
    )
    downgrade: Text | None = Field(
        default=None,
        description="The tier that serves a request for which a budget has not enough left here.",
        examples=["routing"],
    )
    cold: Literal["hold", "spill"] = Field(
        default="hold",
        description=(
            "What a request does for which no worker is awake: wait for one (`hold`), or go to the fallback tiers"
            " while one wakes (`spill`)."
        ),
        examples=["spill"],
    )
    outage: Annotated[OutageDocument | None, WrapValidator(_open_or_closed)] = Field(
        default=None,
        description=(
            "What the tier does while the store cannot be asked: refuse (`closed`), or serve within an allowance of"
            " each gateway process (`open`)."
        ),
        examples=[{"open": "0.50 USD"}, CLOSED],
        json_schema_extra=_with_closed,
    )


class ConditionsDocument(Form):
    """What a route asks of a request; all that is set must hold. Texts are shell globs: one must match."""

    agent: Patterns | None = Field(default=None, description="The agent's name.", examples=[["router", "writer-*"]])
    key: Patterns | None = Field(default=None, description="The name of the caller's key.", examples=["demo"])
    flow: Patterns | None = Field(default=None, description="The Flow's name.", examples=["research"])
    run: Patterns | None = Field(default=None, description="The id of the Flow's run.", examples=["nightly-*"])
    prompt_tokens: Comparing | None = Field(
        default=None, description="The prompt's likely size in tokens.", examples=[">12000"]
    )
    tools: bool | None = Field(default=None, description="Whether the request offers tools.", examples=[True])
    response_format: ResponseFormats | None = Field(
        default=None,
        description="The answer's form: `text`, `json_object` or `json_schema`.",
        examples=["json_schema"],
    )


class RouteDocument(Form):
    """One line of the routes for model `auto`: the first whose conditions hold names the tier."""

    name: Text = Field(description="What answers and records call this route.", examples=["long prompts"])
    when: ConditionsDocument = Field(
        default=ConditionsDocument(),
        description="The conditions; the last route has none.",
        examples=[{"agent": ["router", "classifier-*"]}],
    )
    tier: Text = Field(description="The tier to use.", examples=["routing"])
    priority: Annotated[int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = Field(
        default=0,
        description="Who waits for a slot goes before all of a lower one; below zero is after the ordinary.",
        examples=[5],
    )


class KeyDocument(Form):
    """One key that callers may use: either where to read it, or its hash."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["key"]}, {"required": ["hash"]}]})

    name: Text = Field(description="What budgets, routes and records call this key.", examples=["demo"])
    key: SecretName | None = Field(
        default=None,
        description="Where the key is to be read at start: `env:NAME` or `file:PATH`.",
        examples=["env:TIERGATE_DEMO_KEY"],
    )
    hash: KeyHash | None = Field(
        default=None,
        description="The key's SHA-256 in hexadecimal.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    tiers: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="The tiers it may use; all if left out.", examples=[["routing"]]
    )
    team: Text | None = Field(default=None, description="Whose it is, for budgets of teams.", examples=["research"])
    agents: Globs | None = Field(
        default=None,
        description="Shell globs of the agents that may use it; all, and those without a name, if left out.",
        examples=[["writer-*"]],
    )
    expires: Expiry | None = Field(
        default=None,
        description="Until when it is taken: a moment (RFC 3339) or the end of a date in UTC; for ever if left out.",
        examples=["2027-01-31", "2027-01-31T12:00:00Z"],
    )


class TierMapDocument(Form):
    """All tiers, their endpoints, routes, budgets and keys."""

    version: Literal[1] = Field(description="The version of this form.", examples=[1])
    store: Store = Field(
        default="embedded",
        description="Where balances and slots are kept: `embedded` or a Redis or Valkey URL.",
        examples=["embedded", "redis://127.0.0.1:6379/0", "rediss://store:6380/0", "redis+sentinel://one,two/tiergate"],
    )
    tiers: Annotated[dict[str, TierDocument], Field(min_length=1)] = Field(
        description="The tiers by name; callers may send the name as `model`.",
        examples=[
            {
                "routing": {
                    "model": "meta-llama/Llama-3.1-8B-Instruct",
                    "gpu": "RTX 4090",
                    "endpoints": [{"url": "http://127.0.0.1:9100/v1"}],
                    "context": 16384,
                    "slots": 24,
                }
            }
        ],
    )
    fleet: FleetDocument | None = Field(
        default=None,
        description="What the endpoints with `deploy` have in common, and what is deployed beside them.",
        examples=[{"name": "acme-prod", "quota": 10}],
    )
    routes: list[RouteDocument] = Field(
        default=[],
        description="For model `auto`: the first match wins, the last has no condition.",
        examples=[[{"name": "default", "tier": "routing"}]],
    )
    budgets: list[BudgetDocument] = Field(
        default=[],
        description="What owners may spend per window. A request counts in every budget that concerns it.",
        examples=[[{"name": "daily", "owner": {"all": "*"}, "limit": "50 USD", "window": "1d"}]],
    )
    limits: list[LimitDocument] = Field(
        default=[],
        description="What owners may ask for per minute, and how much at once.",
        examples=[[{"name": "per-agent", "owner": {"agent": "*"}, "requests_per_minute": 60, "concurrency": 4}]],
    )
    keys: Annotated[list[KeyDocument], Field(min_length=1)] = Field(
        description="Who may call.", examples=[[{"name": "demo", "key": "env:TIERGATE_DEMO_KEY"}]]
    )
