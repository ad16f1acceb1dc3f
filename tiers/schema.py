"""The JSON Schema of ``tiers.yaml``, for editors. A test keeps ``tiers/tiers.schema.json`` in sync."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from tiers.document import TierMapDocument
from tiers.gpus import catalogue


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of field names: editors show the name anyway."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


def json_schema() -> dict[str, Any]:
    """The schema, as draft 2020-12, of the form alone; ``tiers.load`` also checks what the parts refer to."""
    schema = TierMapDocument.model_json_schema(schema_generator=_Generator)
    schema["$defs"]["TierDocument"]["properties"]["gpu"]["examples"] = list(catalogue())
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Tiergate tier map"}


def text() -> str:
    """The schema as the text of ``tiers/tiers.schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
