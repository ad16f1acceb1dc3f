"""All targets, by the name of their corpus."""

from collections.abc import Callable
from pathlib import Path

from tests.fuzz.event_stream import event_stream
from tests.fuzz.reception import reception
from tests.fuzz.request_head import request_head
from tests.fuzz.spliced_body import spliced_body
from tests.fuzz.tier_map import tier_map

Target = Callable[[bytes], None]
CORPUS = Path(__file__).parent / "corpus"
TARGETS: dict[str, Target] = {
    "event_stream": event_stream,
    "reception": reception,
    "request_head": request_head,
    "spliced_body": spliced_body,
    "tier_map": tier_map,
}


def corpus(name: str) -> list[Path]:
    """The kept inputs of a target."""
    return sorted((CORPUS / name).iterdir())
