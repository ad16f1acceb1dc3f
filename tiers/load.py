"""The text of ``tiers.yaml`` → a ``TierMap``, or every problem in it at once."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tiers import consistency, fit, fleet_rules, naming, reachability, references
from tiers.build import conditions, tier_map
from tiers.document import ConditionsDocument, ListedPriceDocument, ModelDocument, TierMapDocument
from tiers.explain import explain
from tiers.fleet import Fleet
from tiers.fleet_addresses import addresses_in
from tiers.fleet_build import fleet_of
from tiers.paths import ANY, field_name, select
from tiers.price import TokenPrice
from tiers.problems import Finding, Problem, Refused, TierMapInvalid
from tiers.source import Source, read
from tiers.tiermap import Route, TierMap

_Model = TypeVar("_Model", bound=BaseModel)

Listed = Callable[[str], TokenPrice]
"""What a list says of a model; raises ``Refused`` where it has no price of it."""


def load(text: str | bytes, *, file: str, listed: Listed | None = None) -> TierMap:
    """Read, check and build a tier map. ``file`` is only what problems call it; nothing is opened.

    ``listed`` looks up the prices that are left to a list; without it they stay ``ListedPrice``. Deployed endpoints
    have the addresses that go with the text (``tiers.fleet_addresses``), and an empty URL where none does.

    Raises:
        TierMapInvalid: With every problem that could be found, sorted by place. A value that cannot be read
        hides
            only the rules that need it.
    """
    document, prices = _checked(text, file, listed)
    return tier_map(document, prices, addresses_in(text))


def load_fleet(text: str | bytes, *, file: str) -> tuple[TierMap, Fleet]:
    """The tier map, and what is to be deployed for it. Raises as ``load``."""
    document, prices = _checked(text, file, None)
    return tier_map(document, prices, addresses_in(text)), fleet_of(document)


def _checked(text: str | bytes, file: str, listed: Listed | None) -> tuple[TierMapDocument, dict[str, TokenPrice]]:
    """The document, with the prices that were looked up. Raises as ``load``."""
    source = read(text, file=file)
    if source.problems and source.data is None:
        raise TierMapInvalid(source.problems)
    found, document = _findings(source.data)
    problems = [*source.problems, *(_problem(finding, source, file) for finding in found)]
    if problems or document is None:
        raise TierMapInvalid(problems)
    prices: dict[str, TokenPrice] = {}
    if listed is not None:
        missing = list(_look_up(document, listed, prices))
        if missing:
            raise TierMapInvalid(_problem(finding, source, file) for finding in missing)
    return document, prices


def _look_up(document: TierMapDocument, listed: Listed, prices: dict[str, TokenPrice]) -> Iterator[Finding]:
    """Put every price that is left to a list into ``prices``; what cannot be is a finding."""
    for name, tier in document.tiers.items():
        if isinstance(tier.price, ListedPriceDocument):
            try:
                prices[name] = listed(tier.model)
            except Refused as refused:
                yield Finding(path=("tiers", name, "price"), message=refused.message, remedy=refused.remedy)


def _findings(data: object) -> tuple[list[Finding], TierMapDocument | None]:
    document, errors = None, []
    try:
        document = TierMapDocument.model_validate(data)
    except ValidationError as error:
        errors = [explain(detail) for detail in error.errors(include_url=False, include_input=False)]
    return [
        *errors,
        *consistency.findings(data),
        *naming.findings(data),
        *references.findings(data),
        *([] if document is None else fleet_rules.findings(document)),
        *_rules(data),
    ], document


def _rules(data: object) -> Iterator[Finding]:
    """The rules that need parsed values: they run over what is valid by itself."""
    for path, raw in select(data, "tiers", ANY):
        model = _valid(ModelDocument, _part(raw, ModelDocument))
        if model is not None:
            yield from fit.findings(str(path[-1]), model)
    routes = [raw for _, raws in select(data, "routes") if isinstance(raws, list) for raw in raws]
    asked = [_valid(ConditionsDocument, raw.get("when", {})) if isinstance(raw, dict) else None for raw in routes]
    yield from reachability.findings(
        {
            index: Route(name=str(routes[index].get("name")), when=conditions(when), tier="")
            for index, when in enumerate(asked)
            if when is not None
        },
        len(routes),
    )


def _part(raw: object, model: type[BaseModel]) -> object:
    """Those fields of ``raw`` that ``model`` reads."""
    return {key: raw[key] for key in model.model_fields if key in raw} if isinstance(raw, dict) else raw


def _valid(model: type[_Model], raw: object) -> _Model | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def _problem(finding: Finding, source: Source, file: str) -> Problem:
    position = source.position(finding.path)
    return Problem(
        file=file,
        line=position.line,
        column=position.column,
        field=field_name(finding.path),
        message=finding.message,
        remedy=finding.remedy,
    )
