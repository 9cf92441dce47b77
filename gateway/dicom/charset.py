"""Specific Character Set (0008,0005): bytes of text values to text (PS3.3 C.12.1.1.2, PS3.5 6.1).

Rules:

1. Decoding never raises and never yields a surrogate: what cannot be decoded becomes U+FFFD, so text always fits JSON.
2. A whole value is decoded first and cut at its delimiters afterwards. The second byte of a GB18030, GBK or Shift-JIS
   character may be 0x5C, and so may either byte of a JIS X 0208 one; in decoded text a backslash is a delimiter.
3. The standard's rules for code extensions (PS3.5 6.1.2.5.3) say that a delimiter brings back the sets of value 1.
   Where value 1 is empty it names no set for bytes above 0x7F, and what was designated last stays: right for
   conforming text, which has no such bytes there, and kinder to the many writers that forget the second escape.
4. An escape sequence that the standard knows is obeyed even if (0008,0005) forgot to list its set. An unknown one stays in the text.
5. An unknown or missing term means Latin-1, in which no byte is lost. Common misspellings are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

ESC = b"\x1b"

_LATIN_1 = "latin-1"

# The number of the ISO register names the codec; "ISO_IR n" and "ISO 2022 IR n" differ only in code extensions (tables C.12-2 to C.12-4).
_REGISTERED = {
    6: _LATIN_1,  # ASCII, read as its superset (rule 5)
    13: "shift_jis",  # JIS X 0201: the single bytes of Shift-JIS; writers that mean all of Shift-JIS are understood as well
    58: "gb2312",
    87: "shift_jis",  # reached by an escape; as value 1, which the standard forbids, it says nothing of bytes outside of one
    100: _LATIN_1,
    101: "iso8859-2",
    109: "iso8859-3",
    110: "iso8859-4",
    126: "iso8859-7",
    127: "iso8859-6",
    138: "iso8859-8",
    144: "iso8859-5",
    148: "iso8859-9",
    149: "euc_kr",
    159: "shift_jis",  # as 87
    166: "tis_620",
    192: "utf-8",
    203: "iso8859-15",
}

_NAMED = {
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 GBK": "gbk",
    "GB2312": "gb2312",
    "ISO 2022 58": "gb2312",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
}

_TERM = re.compile(r"ISO[ _-]?(?:2022[ _-]?)?IR[ _-]?([0-9]{1,3})")

# Sets whose bytes look like escapes and delimiters of others; code extensions are not allowed beside them (PS3.3 C.12.1.1.2).
_STAND_ALONE = frozenset({"utf-8", "gb18030", "gbk"})

# Escapes that put a set into G0 (bytes 0x21-0x7E): empty for one byte a character, else what makes Python's codec read two.
_TO_G0 = {b"\x1b(B": b"", b"\x1b(J": b"", b"\x1b$B": b"\x1b$B", b"\x1b$@": b"\x1b$B", b"\x1b$(D": b"\x1b$(D"}

# Escapes that put a set into G1 (bytes from 0xA0). The codec reads ASCII in G0 too.
_TO_G1 = {
    b"\x1b)I": "shift_jis",
    b"\x1b-A": _LATIN_1,
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
    b"\x1b-T": "tis_620",
    b"\x1b-b": "iso8859-15",
    b"\x1b$)A": "gb2312",
    b"\x1b$)C": "euc_kr",
}

_ESCAPE = re.compile(rb"\x1b(?:\$[()]|[-()$])[@-~]")
_TEXT_DELIMITER = re.compile(rb"[\\\t\n\f\r]")
_NAME_DELIMITER = re.compile(rb"[\\\t\n\f\r^=]")
_HALVES = re.compile(rb"[\x00-\x7f]+|[\x80-\xff]+")


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """How the text of one data set is decoded.

    :param codec: Python's name for the set of value 1.
    :param extensible: whether escape sequences mean a change of set.
    :param named: whether value 1 names a set, so that delimiters bring it back (rule 3).
    """

    codec: str
    extensible: bool
    named: bool

    def decode(self, raw: bytes, name: bool = False) -> str:
        """The text of a whole value, delimiters and padding included; never raises (rule 1).

        :param name: whether ``^`` and ``=`` end a code extension too, as they do in a PN (PS3.5 6.1.2.5.3).
        """
        if self.extensible and ESC in raw:
            return _extended(raw, self.codec, (_NAME_DELIMITER if name else _TEXT_DELIMITER) if self.named else None)
        return raw.decode(self.codec, "replace")


DEFAULT = CharacterSet(_LATIN_1, extensible=True, named=False)
"""What an absent or empty (0008,0005) means: ISO_IR 6 (rule 5)."""


@lru_cache(maxsize=256)
def character_set(raw: bytes) -> CharacterSet:
    """The character set that a value of (0008,0005) stands for; `raw` is the element's value with its padding."""
    term = raw.split(b"\\", 1)[0].decode(_LATIN_1).strip(" \0").upper()
    codec = _codec(term)
    return CharacterSet(codec, extensible=codec not in _STAND_ALONE, named=term != "")


def _codec(term: str) -> str:
    found = _TERM.fullmatch(term)
    if found is not None:
        return _REGISTERED.get(int(found[1]), _LATIN_1)
    return _NAMED.get(term, _LATIN_1)


def _extended(raw: bytes, first: str, delimiter: re.Pattern[bytes] | None) -> str:
    """Text with escape sequences of ISO 2022 in it (PS3.5 6.1.2.5).

    :param delimiter: what brings back the set of value 1, None where value 1 is empty.
    """
    text: list[str] = []
    wide, g1 = b"", first
    start = 0
    for escape in _ESCAPE.finditer(raw):
        piece, g1 = _run(raw[start : escape.start()], wide, first, g1, delimiter)
        text.append(piece)
        start = escape.end()
        if escape[0] in _TO_G0:
            wide = _TO_G0[escape[0]]
        elif escape[0] in _TO_G1:
            g1 = _TO_G1[escape[0]]
        else:
            text.append(escape[0].decode(_LATIN_1))
    text.append(_run(raw[start:], wide, first, g1, delimiter)[0])
    return "".join(text)


def _run(run: bytes, wide: bytes, first: str, g1: str, delimiter: re.Pattern[bytes] | None) -> tuple[str, str]:
    """The text of what stands between two escapes, and the set that is in G1 at its end."""
    if wide:
        return "".join(half.decode(g1, "replace") if half[0] & 0x80 else _two_bytes(half, wide) for half in _HALVES.findall(run)), g1
    end = delimiter.search(run) if delimiter is not None and g1 != first else None
    if end is None:
        return run.decode(g1, "replace"), g1
    return run[: end.start()].decode(g1, "replace") + run[end.start() :].decode(first, "replace"), first


def _two_bytes(run: bytes, escape: bytes) -> str:
    return (escape + run).decode("iso2022_jp_2", "replace")
