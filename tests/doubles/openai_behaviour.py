"""How ``OpenAIUpstream`` answers one request, faults included, and what it remembers of each request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal

UsageReport = Literal["asked", "none", "zero", "continuous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one request is answered; the default is what a healthy vLLM server does.

    Faults "after N tokens" count generated tokens over all choices; in a plain answer, which has no tokens to
    count, they strike after half of the body. Durations are seconds.
    """

    text: str | None = None
    """What the model says; by default a greeting that repeats the caller's last words."""
    tokens: int | None = None
    """Exactly so many output tokens, whatever the text is; the caller's own limit still holds."""
    prompt_tokens: int | None = None
    """Prompt tokens to report; by default the words and signs of the prompt are counted."""
    usage: UsageReport = "asked"
    """``asked`` as vLLM does, ``none`` never, ``zero`` all counts are 0, ``continuous`` in every chunk."""
    first_content_null: bool = False
    """The first delta says ``content: null`` in place of an empty string."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields to add to every answer and chunk, for gateways that forget what they do not know."""
    padding_bytes: int = 0
    """Size of a field that makes the answer (or its first chunk) huge."""

    delay_seconds: float = 0.0
    """Wait before the head of the answer."""
    pace_seconds: float = 0.0
    """Wait before each token."""
    first_token_seconds: float = 0.0
    """Wait before the first token of a stream, its head and the role already sent."""
    go_on: Event | None = None
    """Wait there until a test sets it."""
    write_bytes: int | None = None
    """Write the body in pieces of so many bytes, across events and UTF-8 characters alike."""

    silent: bool = False
    """Take the request and never answer."""
    reset_at_once: bool = False
    """Take the request and reset the connection (RST) before a byte of the answer."""
    stall_after: int | None = None
    """Say nothing more after N tokens, and keep the connection open."""
    cut_after: int | None = None
    """Close the connection (FIN) after N tokens, the body unfinished."""
    end_after: int | None = None
    """End a stream after N tokens as HTTP wants it, as if that were all."""
    reset_after: int | None = None
    """Reset the connection (RST) after N tokens."""
    garble_at: int | None = None
    """In place of token N (from 0), send an event that is not JSON; a plain answer ends in its middle."""
    done: bool = True
    """Whether a stream ends with ``data: [DONE]`` (or, in other dialects, with its closing event)."""
    close_delimited: bool = False
    """A plain answer states no length: the connection's end is its end."""
    refuses_prefill: bool = False
    """Answer 400 to a request whose last message is the assistant's, as servers do that cannot continue one."""

    status: int = 200
    """Another status is answered with an error in vLLM's form."""
    retry_after: str | None = None
    """Value of a ``retry-after`` header."""
    body: bytes | None = None
    """Answer with exactly this body, not as a stream."""
    content_type: str = "application/json"
    """Of ``body``."""


ERROR_IN_200 = Behaviour(
    body=json.dumps({"error": {"message": "engine is dead", "type": "InternalServerError", "code": 500}}).encode()
)
"""Success by its status, a failure by its body."""

HTML_IN_200 = Behaviour(body=b"<html><body>Please sign in</body></html>", content_type="text/html")
"""What a captive proxy or a load balancer's page looks like."""


CONTEXT_TOO_LONG = {
    "vllm": Behaviour(
        status=400,
        body=json.dumps(
            {
                "error": {
                    "message": "This model's maximum context length is 8192 tokens. However, your request has 9000"
                    " input tokens. Please reduce the length of the input messages.",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                }
            }
        ).encode(),
    ),
    "openai": Behaviour(
        status=400,
        body=json.dumps(
            {
                "error": {
                    "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in"
                    " 9000 tokens. Please reduce the length of the messages.",
                    "type": "invalid_request_error",
                    "param": "messages",
                    "code": "context_length_exceeded",
                }
            }
        ).encode(),
    ),
}
"""A prompt that is too long for the model, in vLLM's words and in OpenAI's."""

CONTENT_FILTER = Behaviour(
    status=400,
    body=json.dumps(
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering content management policy.",
                "type": "invalid_request_error",
                "param": "prompt",
                "code": "content_filter",
            }
        }
    ).encode(),
)
"""A prompt that the endpoint's operator does not want answered."""


@dataclass(slots=True, kw_only=True)
class Received:
    """One request as it arrived, and how its answer ended. Times are seconds of ``time.monotonic``."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    """Names in lower case, in the order received."""
    body: bytes
    received_at: float
    tokens_sent: int = 0
    closed_early: bool = False
    """Whether the client left before the answer was complete."""
    closed_at: float | None = None
    """When the client left early."""
    ended_at: float | None = None
    """When the upstream was done with the request, on whatever way."""

    def header(self, name: str) -> str | None:
        """The first value of a header, or ``None``."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self) -> Any:  # noqa: ANN401 -- JSON is whatever the sender wrote
        """The body, parsed."""
        return json.loads(self.body)
