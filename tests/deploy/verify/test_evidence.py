"""What is shown of a worker's log."""

import pytest

from deploy.verify.evidence import LINE_CHARACTERS_MAX, last_words, shown
from tests.deploy.fleet.planes import Plane, problem


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vllm serve --hf-token abcdef --model m", "vllm serve --hf-token (hidden) --model m"),
        ("token hf_ABCDEFGHijkl used", "token (hidden) used"),
        ("Authorization: Bearer rpa_XYZ1234567", "Authorization: Bearer (hidden)"),
        ("RuntimeError: CUDA out of memory", "RuntimeError: CUDA out of memory"),
    ],
)
def test_what_looks_like_a_key_is_hidden(line: str, expected: str) -> None:
    """Worker-vllm logs its whole command line."""
    assert shown(line) == expected


def test_a_line_has_an_end() -> None:
    assert len(shown("x" * 5000)) == LINE_CHARACTERS_MAX


async def test_the_worker_that_crashed_is_heard_first() -> None:
    workers = [{"id": "w1", "status": "IDLE"}, {"id": "w2", "status": "UNHEALTHY"}, {"id": "w3", "status": "OTHER"}]
    plane = Plane((200, {"workers": workers}), (200, 'data: {"message": "it broke"}\n\n'))
    assert await last_words(plane.plane, "e1") == ("w2: it broke",)
    assert plane.script.asked[-1][1].startswith("/v2/serverless/e1/workers/w2/logs")


async def test_without_workers_or_logs_there_are_no_words() -> None:
    assert await last_words(Plane((200, {"workers": []})).plane, "e1") == ()
    assert await last_words(Plane(problem(404, "gone")).plane, "e1") == ()
