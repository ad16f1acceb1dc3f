"""Made-up text: words, one token each, some with characters of two to four bytes in UTF-8."""

from random import Random

_TEXT = (
    "the tier routes every request to a warm worker and settles its exact cost in microdollars before "
    "an answer ends while queued calls wait for café Größe naïve señor Übung 東京 データ 🙂 🚀 résumé"
)
_WORDS = tuple(_TEXT.split())


def text_tokens(random: Random, count: int) -> list[str]:
    """``count`` tokens of text; joined they are the text."""
    words = random.choices(_WORDS, k=count)
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]


def split_tokens(text: str) -> list[str]:
    """Any text in pieces of at most four characters, as a tokenizer would have it."""
    return [text[start : start + 4] for start in range(0, len(text), 4)]


def count_tokens(text: str) -> int:
    """About how many tokens a text has: one for each four characters."""
    return -(-len(text) // 4)
