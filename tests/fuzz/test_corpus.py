"""What fuzzers found and people thought of, again and again."""

import pytest

from tests.fuzz.targets import CORPUS, TARGETS, corpus

FILES_MAX = 24
BYTES_MAX = 1000


@pytest.mark.parametrize(
    ("name", "file"), [(name, path.name) for name in TARGETS for path in corpus(name)], ids=lambda part: part
)
def test_every_kept_input_keeps_the_promises(name: str, file: str) -> None:
    TARGETS[name]((CORPUS / name / file).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_corpora_are_small_and_used(name: str) -> None:
    """A fuzzer begins with them; what it finds on its way is not kept."""
    files = corpus(name)
    assert 10 <= len(files) <= FILES_MAX
    assert all(path.stat().st_size <= BYTES_MAX for path in files)
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
