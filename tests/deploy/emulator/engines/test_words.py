"""Made-up text."""

from random import Random

from deploy.emulator.engines.words import count_tokens, split_tokens, text_tokens


def test_text_has_characters_of_every_length_in_utf_8() -> None:
    text = "".join(text_tokens(Random(1), 500))
    assert {len(character.encode()) for character in text} == {1, 2, 3, 4}


def test_the_same_dice_make_the_same_text() -> None:
    assert text_tokens(Random(4), 10) == text_tokens(Random(4), 10)
    assert len(text_tokens(Random(4), 10)) == 10


def test_tokens_are_about_four_characters() -> None:
    assert split_tokens("abcdefghi") == ["abcd", "efgh", "i"]
    assert [count_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
