"""The operations that the gateway serves: each is metered, and nothing that is not listed here is served."""

from dataclasses import dataclass, field
from enum import Enum


class Dialect(Enum):
    """How an operation's answers carry usage, content and their end."""

    CHAT = "chat"
    """``/v1/chat/completions``: ``choices`` with ``message`` or ``delta``, ends with ``[DONE]``."""
    COMPLETION = "completion"
    """``/v1/completions``: ``choices`` with ``text``, ends with ``[DONE]``."""
    RESPONSES = "responses"
    """``/v1/responses``: typed events, the last one carries the whole response and its usage."""
    MESSAGES = "messages"
    """``/v1/messages``: Anthropic's typed events, usage in the first and in the last but one."""
    POOLING = "pooling"
    """Embeddings, scores, classes: one JSON answer with ``usage``."""
    TOKENIZER = "tokenizer"
    """Work of the tokenizer alone: no usage, no GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One served path.

    ``name`` is the value of ``gen_ai.operation.name`` (OpenTelemetry's where it has one). ``expects`` is the
    top-level field that a good JSON answer has; an answer without it is not the endpoint's.
    """

    path: str
    name: str
    dialect: Dialect
    expects: str
    generates: bool = field(init=False)
    """Whether the answer has output tokens."""
    counts_in_stream: bool = field(init=False)
    """Whether a stream of it reports usage only where it is asked to (``stream_options``)."""
    bound_field: str | None = field(init=False)
    """The field in which the gateway may bound an answer; ``None`` where the endpoint's own default is a bound."""

    def __post_init__(self) -> None:
        """What follows from the dialect, worked out once."""
        bounds = {Dialect.CHAT: "max_tokens", Dialect.RESPONSES: "max_output_tokens"}
        object.__setattr__(self, "generates", self.dialect not in {Dialect.POOLING, Dialect.TOKENIZER})
        object.__setattr__(self, "counts_in_stream", self.dialect in {Dialect.CHAT, Dialect.COMPLETION})
        object.__setattr__(self, "bound_field", bounds.get(self.dialect))


_SERVED = (
    Operation(path="/v1/chat/completions", name="chat", dialect=Dialect.CHAT, expects="choices"),
    Operation(path="/v1/completions", name="text_completion", dialect=Dialect.COMPLETION, expects="choices"),
    Operation(path="/v1/responses", name="responses", dialect=Dialect.RESPONSES, expects="output"),
    Operation(path="/v1/messages", name="messages", dialect=Dialect.MESSAGES, expects="content"),
    Operation(
        path="/v1/messages/count_tokens",
        name="tokenize",
        dialect=Dialect.TOKENIZER,
        expects="input_tokens",
    ),
    Operation(path="/v1/embeddings", name="embeddings", dialect=Dialect.POOLING, expects="data"),
    Operation(path="/v1/rerank", name="rerank", dialect=Dialect.POOLING, expects="results"),
    Operation(path="/v2/rerank", name="rerank", dialect=Dialect.POOLING, expects="results"),
    Operation(path="/rerank", name="rerank", dialect=Dialect.POOLING, expects="results"),
    Operation(path="/v1/score", name="score", dialect=Dialect.POOLING, expects="data"),
    Operation(path="/score", name="score", dialect=Dialect.POOLING, expects="data"),
    Operation(path="/pooling", name="pooling", dialect=Dialect.POOLING, expects="data"),
    Operation(path="/classify", name="classify", dialect=Dialect.POOLING, expects="data"),
    Operation(path="/tokenize", name="tokenize", dialect=Dialect.TOKENIZER, expects="tokens"),
    Operation(path="/detokenize", name="detokenize", dialect=Dialect.TOKENIZER, expects="prompt"),
)

OPERATIONS = {operation.path: operation for operation in _SERVED}
"""Path → operation. All are ``POST`` with a JSON body; paths are those of vLLM's server."""
