"""One way to all forms."""

import pytest

from orchestrator.plot.drawing import FORMS, draw
from tests.orchestrator.plot.graphs import EVERYTHING


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_form_names_the_flow_and_every_step_and_ends_its_last_line(form: str) -> None:
    drawn = draw(EVERYTHING, form)
    assert all(name in drawn for name in ("Everything", *(step.name for step in EVERYTHING.steps)))
    assert drawn.endswith("\n")


def test_there_is_no_other_form() -> None:
    with pytest.raises(KeyError):
        draw(EVERYTHING, "png")
