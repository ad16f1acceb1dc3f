"""The ``agents.yaml`` of a class of CrewAI's ``@CrewBase``, read without making the crew."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

LLM_FIELDS: Final = ("llm", "function_calling_llm")
"""Where an agent in the file names its LLM, or one that it calls tools with."""


class AgentsUnreadable(Exception):
    """The file of the class's agents is no YAML, or not the mapping that CrewAI wants."""


def agent_llms(crew_class: type) -> dict[str, dict[str, str]]:
    """Each configured agent with the fields that name an LLM; empty where the class configures none.

    Raises:
        AgentsUnreadable: There is a file, and it cannot be read.
    """
    if not getattr(crew_class, "is_crew_class", False):
        return {}
    config = getattr(crew_class, "original_agents_config_path", None)
    if isinstance(config, str):
        file = Path(getattr(crew_class, "base_directory", ".")) / config
        config = _read(file) if file.is_file() else {}
    if not isinstance(config, Mapping):
        return {}
    return {
        str(agent): {name: fields[name] for name in LLM_FIELDS if isinstance(fields.get(name), str)}
        for agent, fields in config.items()
        if isinstance(fields, Mapping)
    }


def _read(file: Path) -> Mapping[str, object]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise AgentsUnreadable(f"{file}: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise AgentsUnreadable(f"{file}: not a mapping of agents.")
    return content
