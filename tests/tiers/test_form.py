import pytest
from pydantic import ValidationError

from tiers.form import Form, Text


class Named(Form):
    """A form with one field."""

    name: Text


def test_a_form_takes_known_keys_with_values_of_exactly_their_types() -> None:
    assert Named.model_validate({"name": "a"}).name == "a"


@pytest.mark.parametrize("data", [{"name": 1}, {"name": ""}, {"name": "a" * 201}, {"name": "a", "other": 1}, {}])
def test_a_form_takes_nothing_else(data: object) -> None:
    with pytest.raises(ValidationError):
        Named.model_validate(data)
