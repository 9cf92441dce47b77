"""One attribute cut out of DICOM JSON documents, without reading them.

Reading ten kilobytes of JSON costs fifty microseconds and more; finding a tag in them and counting braces costs seven. The
documents are our own (`dicom.model`, `results.rendered`): compact, every key a tag or a name of Annex F, quotes in text escaped.
So a tag between quotes with a colon behind it is a key and nothing else; only whether it belongs to the instance or to an item
of a sequence has to be found out.
"""

from __future__ import annotations

import orjson

ABSENT = b""
"""In place of an attribute that the document does not have."""

TRIES = 4
"""Occurrences of a tag, and ends of a value, that are looked at; a document with more of them is read."""

NEAR = 256
"""Bytes by which the attributes before it may move an attribute from one instance of a series to the next."""


class Cutter:
    """Cuts one attribute out of one document after the other; those of a series have it in about the same place.

    :param tag: of the outermost data set.
    """

    def __init__(self, tag: int) -> None:
        self._name = f"{tag:08X}"
        self._key = b'"%08X":' % tag
        self._near = 0

    def __call__(self, document: bytes) -> bytes:
        """The attribute's JSON object, `ABSENT` where there is none."""
        start = document.find(self._key, self._near) if self._near else -1
        if start < 0 or not _outermost(document, start):
            start = document.find(self._key)
            for _ in range(TRIES):
                if start < 0:
                    return ABSENT
                outermost = _outermost(document, start)
                if outermost is None:
                    return self._read(document)
                if outermost:
                    break
                start = document.find(self._key, start + 1)
            else:
                return self._read(document)
        self._near = max(0, start - NEAR)
        return _object(document, start + len(self._key)) or self._read(document)

    def _read(self, document: bytes) -> bytes:
        found = orjson.loads(document).get(self._name)
        return ABSENT if found is None else orjson.dumps(found)


def _outermost(document: bytes, start: int) -> bool | None:
    """Whether one brace is open at `start`, by the shorter side of the document; None when text holds braces or quotes."""
    before = start <= len(document) - start
    side = document[:start] if before else document[start:]
    if b"\\" in side and b'\\"' in side:
        return None
    signs = side.translate(None, _NO_SIGNS)
    opened, closed = signs.count(b"{"), signs.count(b"}")
    if 2 * signs.count(b'""') != len(signs) - opened - closed:  # between braces that are no text quotes come in pairs
        return None
    return opened - closed == (1 if before else -1)


_NO_SIGNS = bytes(set(range(256)) - set(b'{}"'))


def _object(document: bytes, start: int) -> bytes | None:
    """The object that begins at `start`; None when it holds many others."""
    end = start
    for _ in range(TRIES):
        end = document.find(b"}", end) + 1
        try:
            orjson.loads(found := document[start:end])
        except orjson.JSONDecodeError:  # a brace within: of a name, of an item, of text
            continue
        return found
    return None
