"""A deletion shows."""

import msgspec

from gateway.keys.audit import Entry, breaks, digest_of

PEPPER = b"pepper"


def chain(count: int) -> tuple[list[bytes], str]:
    encoded: list[bytes] = []
    head = ""
    for number in range(1, count + 1):
        entry = Entry(number=number, unix=1.0, by="admin", source="", what="key.created", previous=head)
        encoded.append(msgspec.json.encode(entry))
        head = digest_of(PEPPER, encoded[-1])
    return encoded, head


def test_a_whole_chain_has_no_break() -> None:
    encoded, head = chain(4)
    assert breaks(PEPPER, encoded, head) == []
    assert breaks(PEPPER, encoded[2:], head) == [], "the oldest may be gone"
    assert breaks(PEPPER, [], "") == []


def test_what_is_gone_or_changed_shows() -> None:
    encoded, head = chain(4)
    assert breaks(PEPPER, [encoded[0], *encoded[2:]], head) == [3]
    assert breaks(PEPPER, encoded[:3], head) == [4]
    assert breaks(PEPPER, [], head) == [1]
    changed = [encoded[0], encoded[1].replace(b"admin", b"other"), *encoded[2:]]
    assert breaks(PEPPER, changed, head) == [3]
    assert breaks(b"other", encoded, head) != []
