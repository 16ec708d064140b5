"""Words from the data set made fit to be shown: names of classes and files are anybody's and of any length."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Marks that reverse the direction of what follows, which can make a name look like another.
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MISSING = "\ufffd"


def shown(text: str, limit: int = 60) -> str:
    """The text with what can't be displayed replaced, and its middle cut out where it is longer than the limit."""
    if len(text) > limit:
        tail = limit // 2
        text = f"{text[: limit - tail - 1]}…{text[-tail:]}"
    return "".join(_MISSING if _unprintable(character) else character for character in text)


def _unprintable(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"} or character in _DIRECTIONS


def sentence(text: str, limit: int = 400) -> str:
    """The text as a sentence of its own: a capital at its beginning and a full stop at its end."""
    text = shown(text, limit).strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', '…')) else '.'}" if text else ""


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 box`, `2 boxes`, `1,234 pictures`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
