"""URLs of an origin made ours in what it answers, while that passes through. No I/O.

Only where the API itself writes them: ``fullUrl``, ``url`` and ``location`` of FHIR's bundles, and the URLs of DICOM stores. What people
wrote into their resources stays as it is. Nothing is held but the bytes that may begin such a place; however the bytes are cut, the
same ones come out.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

_BLANKS = rb"[ \t\r\n]{0,8}"
_KEYS = rb'"(?:fullUrl|url|location)"' + _BLANKS + b":" + _BLANKS + b'"'
_BEHIND = rb"(?=/v1(?:beta1)?/projects/)"
_MOST_AROUND = len(b'"location"') + 2 * 8 + 2 + len(b"/v1beta1/projects/")


class Rewriter:
    """:param theirs: what URLs of the origin begin with. :param ours: what stands there instead.
    :param everywhere: wherever such a URL is, for documents of which nobody but the API writes the URLs.
    """

    def __init__(self, theirs: Sequence[str], ours: str, *, everywhere: bool = False) -> None:
        roots = b"|".join(re.escape(one.encode()) for one in theirs)
        self._pattern = re.compile(b"(" + (b"" if everywhere else _KEYS) + b")(?:" + roots + b")" + _BEHIND)
        self._ours = ours.encode()
        self._longest = _MOST_AROUND + max(len(one.encode()) for one in theirs)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain with these bytes."""
        held = self._held + data
        done, at = self._replaced(held, len(held) - self._longest)
        self._held = held[at:]
        return done

    def finish(self) -> bytes:
        """The rest."""
        done, at = self._replaced(self._held, len(self._held))
        rest, self._held = self._held[at:], b""
        return done + rest

    def _replaced(self, held: bytes, cut: int) -> tuple[bytes, int]:
        """What becomes of the bytes before `cut`, and how many bytes that were: a place that begins before it is replaced whole."""
        pieces: list[bytes] = []
        at = 0
        for found in self._pattern.finditer(held):
            if found.start() >= cut:
                break
            pieces += [held[at : found.start()], found[1], self._ours]
            at = found.end()
        end = max(at, cut)
        return b"".join([*pieces, held[at:end]]), end


async def rewritten(pieces: AsyncGenerator[bytes, None], rewriter: Rewriter) -> AsyncGenerator[bytes, None]:
    """The same bytes with our URLs."""
    async with aclosing(pieces):
        async for piece in pieces:
            if done := rewriter.feed(piece):
                yield done
    if rest := rewriter.finish():
        yield rest
