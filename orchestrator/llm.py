"""The tier-bound LLM: what an agent gets when it names a tier.

``tier("reasoning")`` is a CrewAI LLM whose every call goes to the gateway under the tier's name and says who
calls. It is CrewAI's own OpenAI client with four things put right: identity headers, the context window, an
asynchronous client per event loop, and structured output where a call is both asynchronous and streamed.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Self

from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.llms.base_llm import call_stream_override
from crewai.llms.providers.openai.completion import OpenAICompletion
from crewai.task import Task
from crewai.utilities.types import LLMMessage
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, PrivateAttr, model_validator

from orchestrator.call_waits import listening
from orchestrator.client import Access, async_client, client
from orchestrator.identity import current_identity
from orchestrator.one_retry_layer import client_retries, tried_once, without_llm_retries
from orchestrator.settings import Settings, current_settings
from orchestrator.windows import WINDOWS

CONTEXT_TOKENS_DEFAULT: Final = 131_072
"""Assumed where the gateway does not tell a tier's window. Rather too large than too small: CrewAI silently cuts tool
results and adds summarising calls to stay below it, whereas an endpoint says when a prompt does not fit."""

USABLE_SHARE: Final = 0.85
"""Of a window, for the prompt: as CrewAI has it for the models that it knows."""

TIMEOUT_SECONDS_DEFAULT: Final = 600.0
"""How long a call may take. Long, because the gateway holds a call while a cold endpoint wakes."""

RETRIES_DEFAULT: Final = 2
"""The OpenAI client's retries of a refused connection or a 5xx, outside of runs whose steps are tried again. It waits
as long as the gateway's ``retry-after`` says; the gateway has already tried every endpoint and tells the client where
another try is pointless."""

SHARED_LLMS_MAX: Final = 256
"""Distinct (gateway, tier, options) kept, so that agents of one tier share one object."""

# CrewAI insists on a key in a public field, which it prints and writes into checkpoints. The real one stays
# outside.
_KEY_IS_ELSEWHERE: Final = "the-gateway-key-is-in-the-settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierOptions:
    """How a tier's model is asked. ``None`` leaves a field out of the request: the server's default holds."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stream: bool = False
    timeout: float = TIMEOUT_SECONDS_DEFAULT
    max_retries: int = RETRIES_DEFAULT


def tier(
    name: str,
    *,
    context: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    stream: bool = False,
    timeout: float = TIMEOUT_SECONDS_DEFAULT,
    max_retries: int = RETRIES_DEFAULT,
) -> "TierLLM":
    """The LLM that serves the tier ``name``, at the current settings' gateway.

    The same name and options give the same object: it is safe to share between agents, threads and event
    loops. ``context`` is how many tokens of prompt CrewAI may use; the gateway is asked where it is ``None``.
    ``max_tokens`` is the bound of an answer, ``timeout`` is in seconds.

    Raises ``SettingsInvalid`` where the environment has no usable settings and none are bound.
    """
    options = TierOptions(
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
        stream=stream,
        timeout=timeout,
        max_retries=max_retries,
    )
    return _shared(current_settings(), name, context, options)


@lru_cache(maxsize=SHARED_LLMS_MAX)
def _shared(settings: Settings, name: str, context: int | None, options: TierOptions) -> "TierLLM":
    return TierLLM(
        model=name,
        base_url=settings.url,
        api_key=_KEY_IS_ELSEWHERE,
        custom_openai=True,
        context_tokens=context,
        **asdict(options),
    )


class TierLLM(OpenAICompletion):
    """A CrewAI LLM bound to one tier of the gateway; made by ``tier``.

    ``context_tokens`` is as ``tier``'s ``context``. Settings are those that were current when it was made.
    """

    context_tokens: int | None = None

    _settings: Settings = PrivateAttr(default_factory=current_settings)

    @model_validator(mode="after")
    def _init_clients(self) -> Self:
        """Replaces CrewAI's own, which would make two clients for each LLM."""
        # CrewAI guesses a model's powers from letters in its name: a tier named "pro1-large" would lose its
        # tools.
        self.is_o1_model = self.is_gpt4_model = False
        return self

    def _access(self) -> Access:
        timeout = TIMEOUT_SECONDS_DEFAULT if self.timeout is None else self.timeout
        return Access(settings=self._settings, timeout=timeout, max_retries=client_retries(self.max_retries))

    def _get_sync_client(self) -> OpenAI:
        return client(self._access())

    def _get_async_client(self) -> AsyncOpenAI:
        return async_client(self._access())

    def get_context_window_size(self) -> int:
        """What CrewAI may fill of the tier's window, in tokens, where it would assume a small one for an unknown name.

        It counts a token for every four characters, so it leaves a part of every window free.
        """
        if self.context_tokens is not None:
            return self.context_tokens
        window = WINDOWS.of(self._settings, self.model)
        return CONTEXT_TOKENS_DEFAULT if window is None else int(window * USABLE_SHARE)

    def _prepare_completion_params(
        self, messages: list[LLMMessage], tools: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        params = super()._prepare_completion_params(messages, tools)
        params["extra_headers"] = {**(params.get("extra_headers") or {}), **current_identity().headers()}
        return params

    @tried_once
    def call(self, *arguments: Any, **named: Any) -> str | Any:  # noqa: ANN401 - as CrewAI's, which it passes on to
        """As CrewAI's, in one try."""
        with listening(), without_llm_retries():
            return super().call(*arguments, **named)

    @tried_once
    async def acall(  # noqa: PLR0917 - the signature is CrewAI's
        self,
        messages: str | list[LLMMessage],
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,
        available_functions: dict[str, Any] | None = None,
        from_task: Task | None = None,
        from_agent: BaseAgent | None = None,
        response_model: type[BaseModel] | None = None,
    ) -> str | Any:  # noqa: ANN401 - as above
        """As CrewAI's, in one try; a wanted ``response_model`` is always sent, which its streamed path would forget."""
        stream = bool(self._effective_stream()) and response_model is None
        with listening(), call_stream_override(self, stream), without_llm_retries():
            return await super().acall(
                messages, tools, callbacks, available_functions, from_task, from_agent, response_model
            )
