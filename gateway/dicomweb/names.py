"""Names of people as searches compare them (PS3.5 6.2.1, PS3.4 C.2.2.2.1, PS3.18 8.3.4.2).

1. Neither case nor accents count: ``MÜLLER`` is ``muller``.
2. Carets and blanks at the end of a component group, and empty groups at the end, mean nothing.
3. A key is compared with every run of neighbouring groups, so with the alphabetic, the ideographic or the phonetic one alone,
   and with all of them as they stand.
4. Fuzzy matching: one word of the key begins one word of the name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

_ACCENTS = dict.fromkeys(range(0x300, 0x370))
"""The combining marks of Latin, Greek and Cyrillic. Others change what a letter is, as the voiced marks of kana do."""

_BETWEEN_WORDS = re.compile(r"[\s^=,\\]+")
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def folded(text: str) -> str:
    """The text without case and accents."""
    if text.isascii():
        return text.lower()
    bare = unicodedata.normalize("NFD", text).translate(_ACCENTS)
    return unicodedata.normalize("NFC", bare).casefold()


def plain(name: str) -> str:
    """A name as it is compared: folded, its groups joined by ``=``, with nothing idle at their ends."""
    return folded("=".join([group.strip(" ").rstrip("^ ") for group in name.split("=")]).rstrip("="))


def joined(name: Mapping[str, str]) -> str:
    """The groups of a PN of the DICOM JSON model joined as they are in a data set."""
    return "=".join([name.get(group, "") for group in GROUPS]).rstrip("=")


def runs(name: str) -> Iterator[str]:
    """Every run of neighbouring groups of a `plain` name: itself first."""
    yield name
    groups = name.split("=")
    for length in range(len(groups) - 1, 0, -1):
        for start in range(len(groups) - length + 1):
            yield "=".join(groups[start : start + length])


def words(name: str) -> list[str]:
    """The words of a `plain` name."""
    return [word for word in _BETWEEN_WORDS.split(name) if word]
