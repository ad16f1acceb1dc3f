from tiers.usage import Usage


def test_cached_and_reasoning_tokens_are_parts_and_not_added() -> None:
    assert Usage(input=10, output=5, cached=8, reasoning=3).total == 15


def test_equal_counts_are_one_usage_in_a_set() -> None:
    assert len({Usage(10, 5, cached=8), Usage(10, 5, cached=8), Usage(10, 5, cached=7)}) == 2


def test_a_usage_reads_as_it_is_made() -> None:
    usage = Usage(10, 5, cached=8, reasoning=3)
    assert repr(usage) == "Usage(10, 5, cached=8, reasoning=3)"
