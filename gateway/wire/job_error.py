"""Why a job failed, as its worker tells it, which takes many forms.

vLLM's own refusals arrive as JSON inside a Python repr inside a string; Python exceptions as JSON inside a string, with
a traceback; others as a plain text or object. What vLLM said is found again with its status, so that a caller gets the
same as from vLLM itself. Of all else one line is told, without tracebacks and without what looks like a key.
"""

import ast
import re
from dataclasses import dataclass
from typing import Final

import msgspec

_VLLM: Final = re.compile(r"\s*vLLM returned HTTP ([45]\d\d):\s*(.*)", re.DOTALL)
_TRACEBACK: Final = "Traceback (most recent call last)"
_KEYS: Final = re.compile(r"\b(?:rpa_|hf_|sk-|ghp_)[\w-]{4,}|(?i:bearer)\s+[^\s'\"]+")
_REPR_CHARACTERS_MAX: Final = 1_000_000
_SHOWN_CHARACTERS_MAX: Final = 400
_LAYERS_MAX: Final = 6
_CRASHED: Final = "job timed out after"
_NAMES: Final = ("error", "error_message", "message", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed.

    Attributes:
        status: vLLM's HTTP status; 0 where it was not vLLM that refused.
        body: vLLM's answer, as it came; empty without a status.
        message: For people, in one line.
    """

    status: int = 0
    body: bytes = b""
    message: str = ""


def job_error(error: bytes) -> JobError:
    """Read the ``error`` of a failed job, which is any JSON value, or none at all."""
    value: object = _json(error)
    for _ in range(_LAYERS_MAX):
        if isinstance(value, dict):
            value = next((value[name] for name in _NAMES if value.get(name)), None)
        elif isinstance(value, str):
            vllm = _VLLM.match(value)
            if vllm is not None:
                return _refused(int(vllm[1]), vllm[2])
            inner = _inside(value)
            if inner is None:
                return JobError(message=_line(value))
            value = inner
        else:
            break
    return JobError(message=_line(value) if isinstance(value, str) else "")


def _refused(status: int, said: str) -> JobError:
    told = said.encode("utf-8", "replace")
    value = _json(told)
    if not isinstance(value, dict):
        message = _line(said) or "The engine gave no reason."
        value = {"error": {"message": message, "type": "upstream_error", "param": None, "code": status}}
        told = msgspec.json.encode(value)
    inner = value.get("error", value)
    words = inner.get("message", "") if isinstance(inner, dict) else inner
    return JobError(status=status, body=told, message=_line(str(words)))


def _inside(text: str) -> object:
    """The object that a text is the JSON or the Python repr of; ``None`` where it is neither."""
    text = text.strip()
    if not text.startswith("{") or len(text) > _REPR_CHARACTERS_MAX:
        return None
    value = _json(text.encode("utf-8", "replace"))
    if isinstance(value, dict):
        return value
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _line(text: str) -> str:
    """One line of a text that may be shown."""
    if _TRACEBACK in text:
        text = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    text = _KEYS.sub("[…]", " ".join(text.split()))
    if text.startswith(_CRASHED):
        return f"its worker ended or lost touch each time it was tried ({text}); see the worker's log"
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"


def _json(text: bytes) -> object:
    try:
        return msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
