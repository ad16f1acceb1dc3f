"""What is asked of the records."""

import pytest

from gateway.usage.question import GROUPS, Question, QuestionInvalid, read_question

NOW = 1_800_000_000.0


def read(**words: str | None) -> Question:
    given = {"by": "tier", "since": "7d", "until": None} | words
    by, since = given.pop("by"), given.pop("since")
    assert by is not None
    assert since is not None
    until = given.pop("until")
    return read_question(by=by, since=since, until=until, only=given, now_unix=NOW)


def test_ages_and_times() -> None:
    """A time without a zone is UTC's; without an end there is none."""
    assert read() == Question(by=("tier",), since_unix=NOW - 7 * 86_400)
    assert read(since="90m", until="1h").until_unix == NOW - 3600
    assert read(since="2w").since_unix == NOW - 14 * 86_400
    assert read(since="2027-01-01").since_unix == read(since="2027-01-01T01:00:00+01:00").since_unix == 1_798_761_600


def test_groups_and_filters() -> None:
    """Spaces do no harm; what is not asked for is left out."""
    assert read(by="agent, tier", agent="writer", run=None).by == ("agent", "tier")
    assert read(agent="writer", run=None).only == {"agent": "writer"}
    assert read(by="").by == ()
    assert read(by=",".join(GROUPS)).by == GROUPS


@pytest.mark.parametrize(
    ("words", "param"),
    [
        ({"by": "prompt"}, "by"),
        ({"by": "tier,tier"}, "by"),
        ({"since": "0d"}, "since"),
        ({"since": "soon"}, "since"),
        ({"until": "7y"}, "until"),
        ({"since": "1h", "until": "2h"}, "since"),
        ({"since": "2099-01-01"}, "since"),
    ],
)
def test_what_makes_no_sense_is_refused(words: dict[str, str], param: str) -> None:
    with pytest.raises(QuestionInvalid) as caught:
        read(**words)
    assert caught.value.param == param
