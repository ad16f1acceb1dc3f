"""Which worker served a session last."""

from gateway.upstream.sessions import Sessions


def test_the_latest_worker_of_a_session_is_known_until_it_is_forgotten() -> None:
    sessions = Sessions()
    sessions.note(b"run", b"w1")
    sessions.note(b"run", b"w2")
    assert sessions.of(b"run") == b"w2"
    sessions.forget(b"run")
    sessions.forget(None)
    assert sessions.of(b"run") is None


def test_the_session_that_was_unused_for_longest_makes_room() -> None:
    sessions = Sessions(2)
    for name in (b"a", b"b", b"a", b"c"):
        sessions.note(name, b"w")
    assert [sessions.of(name) for name in (b"a", b"b", b"c")] == [b"w", None, b"w"]
