from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from tiers import budget_document, document
from tiers.document import BreakerDocument, RetryDocument, TierDocument, TierMapDocument, TimeoutsDocument
from tiers.tiermap import Breaker, Queue, Retry, Timeouts

FORMS = [
    form
    for module in (document, budget_document)
    for form in vars(module).values()
    if isinstance(form, type) and issubclass(form, BaseModel) and form.__module__ == module.__name__
]


def _fields() -> Iterator[tuple[type[BaseModel], str]]:
    for form in FORMS:
        for name in form.model_fields:
            yield form, name


@pytest.mark.parametrize(("form", "name"), list(_fields()), ids=str)
def test_every_field_says_what_it_is_and_how_it_looks(form: type[BaseModel], name: str) -> None:
    """Editors show the description; problems show the first example."""
    field = form.model_fields[name]
    assert field.description
    assert field.examples


def test_what_is_left_out_is_what_the_domain_leaves_out() -> None:
    """The defaults of the form and of the values are the same figures."""
    queue = TierDocument.model_fields["queue"].default
    assert Queue() == Queue(length=queue.length, wait_seconds=queue.wait)
    assert Timeouts() == Timeouts(**TimeoutsDocument().model_dump())
    assert Retry() == Retry(**RetryDocument().model_dump())
    assert Breaker() == Breaker(**BreakerDocument().model_dump())


def test_examples_can_be_read() -> None:
    """What a problem offers as an example is valid."""
    values = {name: field.examples[0] for name, field in TierMapDocument.model_fields.items() if field.examples}
    assert TierMapDocument.model_validate(values).version == 1
