"""The kinds of value in the tier map's form: how each is read, and what editors are told of it."""

from collections.abc import Callable
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from tiers import addresses, gpus, quantities, zones
from tiers.gpus import Gpu
from tiers.problems import Refused, choices, quoted
from tiers.tiermap import Comparison, SecretReference
from tiers.windows import Window as BudgetWindow

RESPONSE_FORMATS = ("text", "json_object", "json_schema")
REFUSED = "refused"
"""The type of a pydantic error whose context carries a message and a remedy of ours."""
TEXT_LENGTH_MAX = 200

_MODEL_PATTERN = r"^[!-~]{1,200}$"
_REFERENCE = {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"}
_DURATION = {"type": "string", "pattern": quantities.DURATION_PATTERN}
_WEBHOOK = {"type": "string", "pattern": r"^(https?://[^@#\s]+|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"}
_PERCENT = {"type": "string", "pattern": quantities.PERCENT_PATTERN}
_GLOB = {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX}
_GLOBS = {"anyOf": [_GLOB, {"type": "array", "items": _GLOB, "minItems": 1}]}


def _gpu(text: str) -> Gpu:
    found = gpus.find(text)
    if found is None:
        raise Refused(f"unknown GPU {quoted(text)}", choices(text, gpus.catalogue()))
    return found


def _model(text: str) -> str:
    if not text or len(text) > TEXT_LENGTH_MAX or not text.isascii() or not text.isprintable() or " " in text:
        raise Refused(
            f"{quoted(text)} is no model name",
            f"write 1 to {TEXT_LENGTH_MAX} ASCII characters without spaces",
        )
    return text


def _texts(value: object) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise _refusal(Refused("names nothing", "name at least one pattern, or leave it out"))
    for text in texts:
        if not isinstance(text, str) or not 0 < len(text) <= TEXT_LENGTH_MAX:
            raise _refusal(
                Refused(
                    "must be text or a list of texts",
                    f"write a name or a pattern of 1 to {TEXT_LENGTH_MAX} characters, such as classifier-*",
                )
            )
    return tuple(texts)


def _globs(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise PydanticCustomError("list_type", "must be a list")
    return _texts(value)


def _percentages(value: object) -> tuple[int, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise _refusal(Refused("names no part", "name at least one, such as 80%"))
    parts = set()
    for text in texts:
        if not isinstance(text, str):
            raise _refusal(Refused("must be parts of the limit in percent", "write them as text: [50%, 80%, 100%]"))
        try:
            part = quantities.percent(text)
        except Refused as error:
            raise _refusal(error) from None
        if part in parts:
            raise _refusal(Refused(f"{part}% is there twice", "keep one"))
        parts.add(part)
    return tuple(sorted(parts))


def _response_formats(value: object) -> tuple[str, ...]:
    texts = _texts(value)
    for text in texts:
        if not any(fnmatchcase(form, text) for form in RESPONSE_FORMATS):
            raise _refusal(
                Refused(f"no request has the response format {quoted(text)}", choices(text, RESPONSE_FORMATS))
            )
    return texts


def _price(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _refusal(Refused("must be a number", "write US dollars per million tokens, such as 0.15"))
    try:
        return quantities.price(Decimal(value))
    except Refused as error:
        raise _refusal(error) from None


def _from_text(read: Callable[[str], object]) -> PlainValidator:
    """Have text read by ``read``, and what it refuses reported with its remedy."""

    def validate(value: object) -> object:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "must be text")
        try:
            return read(value)
        except Refused as error:
            raise _refusal(error) from None

    return PlainValidator(validate)


def _refusal(error: Refused) -> PydanticCustomError:
    return PydanticCustomError(REFUSED, "{message}", {"message": error.message, "remedy": error.remedy})


def _pattern(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


SecretName = Annotated[SecretReference, _from_text(addresses.secret_reference), WithJsonSchema(_REFERENCE)]
KeyHash = Annotated[str, _from_text(addresses.key_hash), _pattern("^(sha256:)?[0-9A-Fa-f]{64}$")]
Url = Annotated[str, _from_text(addresses.endpoint_url), _pattern(r"^https?://[^@?#\s]+$")]
Store = Annotated[
    str,
    _from_text(addresses.store_url),
    _pattern(r"^(embedded|(redis|rediss|unix|rediss?\+(sentinel|cluster))://\S+)$"),
]
Duration = Annotated[float, _from_text(quantities.seconds), WithJsonSchema(_DURATION)]
PositiveDuration = Annotated[float, _from_text(quantities.positive_seconds), WithJsonSchema(_DURATION)]
Window = Annotated[BudgetWindow, _from_text(quantities.window), _pattern(quantities.WINDOW_PATTERN)]
TimeZone = Annotated[str, _from_text(zones.time_zone), WithJsonSchema({"type": "string"})]
Money = Annotated[int, _from_text(quantities.microdollars), _pattern(quantities.MONEY_PATTERN)]
Percentages = Annotated[
    tuple[int, ...],
    PlainValidator(_percentages),
    WithJsonSchema({"anyOf": [_PERCENT, {"type": "array", "items": _PERCENT, "minItems": 1, "uniqueItems": True}]}),
]
Webhook = Annotated[SecretReference | str, _from_text(addresses.webhook), WithJsonSchema(_WEBHOOK)]
Expiry = Annotated[float, _from_text(quantities.expiry), _pattern(quantities.EXPIRY_PATTERN)]
Limit = Annotated[tuple[str, int], _from_text(quantities.amount), _pattern(quantities.AMOUNT_PATTERN)]
Price = Annotated[int, PlainValidator(_price), WithJsonSchema({"type": "number", "minimum": 0})]
GpuName = Annotated[Gpu, _from_text(_gpu), WithJsonSchema({"type": "string"})]
ModelName = Annotated[str, _from_text(_model), _pattern(_MODEL_PATTERN)]
Parameters = Annotated[int, _from_text(quantities.parameters), _pattern(quantities.PARAMETERS_PATTERN)]
Comparing = Annotated[Comparison, _from_text(quantities.comparison), _pattern(quantities.COMPARISON_PATTERN)]
Patterns = Annotated[tuple[str, ...], PlainValidator(_texts), WithJsonSchema(_GLOBS)]
Globs = Annotated[
    tuple[str, ...], PlainValidator(_globs), WithJsonSchema({"type": "array", "items": _GLOB, "minItems": 1})
]
ResponseFormats = Annotated[tuple[str, ...], PlainValidator(_response_formats), WithJsonSchema(_GLOBS)]
