"""What a check found."""

from deploy.verify.finding import CheckFailed, NotAsked


def test_a_failure_keeps_what_was_seen_and_what_to_do() -> None:
    failed = CheckFailed("crash_loop", evidence=["1 unhealthy"], remedy="read its log")
    assert (failed.cause, failed.evidence, failed.remedy) == ("crash_loop", ("1 unhealthy",), "read its log")


def test_what_is_not_asked_says_why() -> None:
    assert str(NotAsked("no gateway named")) == "no gateway named"
