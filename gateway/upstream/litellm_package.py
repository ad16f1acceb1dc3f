"""LiteLLM's SDK, loaded only where a tier map asks for it: it takes seconds and some hundred megabytes.

Nothing is fetched when it is loaded, no file is read for settings, and what it does beside calling providers - retries,
caches, callbacks, prints - is off.
"""

import importlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from types import ModuleType
from typing import Any, Final, Protocol, cast

INSTALL: Final = "pip install 'tiergate[litellm]'"
_BEFORE_IMPORT: Final = {
    # Its price list comes with the package; else it is fetched from GitHub.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # In its other mode it reads a file `.env` from the working directory into the environment.
    "LITELLM_MODE": "PRODUCTION",
}

_SETTINGS: Final = {
    "suppress_debug_info": True,
    "telemetry": False,
    "num_retries": 0,
    "cache": None,
    "disable_aiohttp_transport": True,  # nobody would close its sessions
}


class Told(Protocol):
    """An answer, or a piece of one."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Its fields as plain data."""


class Pieces(Protocol):
    """The pieces of a streamed answer."""

    def __aiter__(self) -> AsyncIterator[Told]:
        """Each as it comes. Raises whatever goes wrong, mostly ``LiteLlmPackage.exceptions``."""


class LiteLlmPackage(Protocol):
    """What is used of the package; its parts are typed loosely themselves."""

    openai_compatible_providers: list[str]
    model_cost: Mapping[str, Mapping[str, Any]]
    Timeout: type[Exception]

    def get_llm_provider(self, model: str) -> tuple[str, str, str | None, str | None]:
        """The model's name at its provider, the provider, and more. Raises where it is none that is known."""

    def get_model_info(self, model: str) -> Mapping[str, Any]:
        """What the list says of a model. Raises where it says nothing."""

    async def acompletion(self, **arguments: object) -> Told | Pieces:
        """A chat completion."""

    async def atext_completion(self, **arguments: object) -> Told | Pieces:
        """A completion."""

    async def aembedding(self, **arguments: object) -> Told:
        """Embeddings."""


class LiteLlmMissing(ValueError):
    """LiteLLM is not installed."""

    def __init__(self) -> None:
        super().__init__("LiteLLM, which calls the tier, is not installed")


def load_package() -> LiteLlmPackage:
    """LiteLLM, with all off that Tiergate does itself.

    Raises:
        LiteLlmMissing: It is not installed.
    """
    os.environ.update(_BEFORE_IMPORT)
    try:
        package = importlib.import_module("litellm")
    except ModuleNotFoundError as error:
        raise LiteLlmMissing from error
    _quieten(package)
    return cast("LiteLlmPackage", package)


def provider_of(package: LiteLlmPackage, model: str) -> str:
    """The provider that a model's name begins with.

    Raises:
        ValueError: LiteLLM knows none.
    """
    try:
        _, provider, *_ = package.get_llm_provider(model=model)
    except Exception as error:
        raise ValueError(f"LiteLLM knows no provider of the model {model!r}") from error
    return provider


def _quieten(package: ModuleType) -> None:
    for name, value in _SETTINGS.items():
        setattr(package, name, value)
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False
