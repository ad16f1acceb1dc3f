"""An endpoint that LiteLLM's SDK calls: any provider that it knows, in OpenAI's form.

It serves chat completions, completions and embeddings; the tier's ``model`` is LiteLLM's name, whose first part says
which provider it is. Retries, time limits and deadlines are the gateway's; the SDK's own are off.
"""

import asyncio
import importlib
from typing import Any, Final, cast

import msgspec

from gateway.errors import UpstreamFailed, UpstreamRefused, UpstreamTimeout
from gateway.exchange import Clock
from gateway.upstream.litellm_answer import answer_bytes
from gateway.upstream.litellm_call import FIELDS, arguments
from gateway.upstream.litellm_errors import translated
from gateway.upstream.litellm_package import LiteLlmPackage, Pieces, Told, load_package, provider_of
from gateway.upstream.litellm_stream import LiteLlmStream
from gateway.upstream.transport import UpstreamRequest, UpstreamResponse
from gateway.upstream.whole_answer import WholeAnswer
from tiers.tiermap import Endpoint, Tier

JSON: Final = ((b"content-type", b"application/json"),)
_OF_OPENAIS_FORM: Final = frozenset({"openai", "azure", "text-completion-openai", "hosted_vllm"})


class LiteLlm:
    """Fulfils ``Transport``."""

    def __init__(self, *, endpoint: Endpoint, tier: Tier, api_key: str | None, clock: Clock) -> None:
        """Loads the SDK.

        Raises:
            ValueError: It is not installed, or does not know the provider.
        """
        self._package: LiteLlmPackage = load_package()
        self._name = endpoint.name
        self._api_key = api_key
        self._timeouts = endpoint.timeouts
        self._clock = clock
        self._extra = self._of_openais_form(tier)
        timeout = importlib.import_module("httpx").Timeout(tier.timeouts.total, connect=endpoint.timeouts.connect)
        self._fixed: dict[str, Any] = {
            "model": tier.model,
            "api_key": api_key,
            "timeout": timeout,
            "max_retries": 0,
            "num_retries": 0,
        }
        if endpoint.url:
            self._fixed["api_base"] = endpoint.url

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Call the provider; see ``Transport``.

        Raises:
            UpstreamRefused: The gateway's key, or an operation that the SDK does not have.
            UpstreamAnswered: The provider answered 429 or a 5xx.
            UpstreamTimeout: No answer began within the headers timeout.
            UpstreamUnreachable: No connection could be made.
        """
        if request.path not in FIELDS:
            raise UpstreamRefused(
                f"The endpoint {self._name} is called by LiteLLM, which has no {request.path.decode()} here: only chat"
                " completions, completions and embeddings."
            )
        failure: Exception | None = None
        try:
            async with asyncio.timeout(self._timeouts.headers):
                told = await self._call(request)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"The provider of {self._name} sent no answer within {self._timeouts.headers:g} s (timeout headers)."
            ) from error
        except Exception as error:  # noqa: BLE001 - the SDK raises its own, OpenAI's, HTTP clients' and plain ones
            failure = error
        if failure is not None:
            outcome = translated(failure, endpoint=self._name, api_key=self._api_key, unix=self._clock.unix())
            if isinstance(outcome, UpstreamFailed):
                raise outcome from failure
            return outcome
        if hasattr(told, "__aiter__"):
            return LiteLlmStream(
                cast("Pieces", told), endpoint=self._name, api_key=self._api_key, idle=self._timeouts.idle
            )
        return WholeAnswer(status=200, headers=JSON, body=answer_bytes(told.model_dump(mode="json")))

    async def aclose(self) -> None:
        """See ``Transport``. The SDK keeps its connections itself, for all endpoints together."""

    async def _call(self, request: UpstreamRequest) -> Told | Pieces:
        body = msgspec.json.decode(request.body)
        made = arguments(request.path, body, extra=self._extra) | self._fixed
        if request.path == b"/v1/embeddings":
            return await self._package.aembedding(**made)
        if request.path == b"/v1/completions":
            return await self._package.atext_completion(**made)
        # Else the SDK loads another package for tools, and acts itself on those of MCP that a caller names.
        return await self._package.acompletion(**made, _skip_mcp_handler=True)

    def _of_openais_form(self, tier: Tier) -> bool:
        """Whether fields that the SDK does not know may go along."""
        provider = provider_of(self._package, tier.model)
        return provider in _OF_OPENAIS_FORM or provider in self._package.openai_compatible_providers
