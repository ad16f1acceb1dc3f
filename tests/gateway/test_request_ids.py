from gateway.request_ids import RequestIds


def test_ids_count_up_and_differ() -> None:
    """Also where the part that is kept changes."""
    ids = RequestIds("0123456789ab")
    given = [ids() for _ in range(10_000)]
    assert given[:2] == ["req_0123456789ab00000000", "req_0123456789ab00000001"]
    assert given[4095:4097] == ["req_0123456789ab00000fff", "req_0123456789ab00001000"]
    assert len(set(given)) == len(given)
    assert sorted(given) == given


def test_two_processes_share_no_id() -> None:
    assert RequestIds("a" * 12)() != RequestIds("b" * 12)()
