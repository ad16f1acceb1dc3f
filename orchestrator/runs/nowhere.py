"""CrewAI's own persistence for a Flow that has none: without one it would write into a database in the home folder."""

from typing import Any

from crewai.flow.persistence.base import FlowPersistence
from pydantic import BaseModel


class Nowhere(FlowPersistence):
    """Keeps nothing: the run's steps are kept elsewhere."""

    persistence_type: str = "TiergateNowhere"

    def init_db(self) -> None:
        """Nothing to make."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: dict[str, Any] | BaseModel) -> None:
        """Nothing is kept."""

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:  # noqa: ARG002 - CrewAI's signature
        """Nothing was."""
        return None
