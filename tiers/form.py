"""What every part of the tier map's form has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Form(BaseModel):
    """A mapping of known keys to values of exactly their types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
