from tiers.usage import Usage


def test_cached_and_reasoning_tokens_are_parts_and_not_added() -> None:
    assert Usage(input=10, output=5, cached=8, reasoning=3).total == 15
