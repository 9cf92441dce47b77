"""Bodies of store requests (PS3.18 10.5)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from loadtests.synthetic import Piece, Study


def store_request(study: Study, slices: Iterable[int]) -> tuple[str, bytes]:
    """Content-Type and body that store some slices of a study. The pixels are copied once; the boundary is new each time."""
    boundary = secrets.token_hex(16)
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    pieces: list[Piece] = []
    for index in slices:
        pieces += (head, *study.pieces(index))
    body = b"".join((*pieces, f"\r\n--{boundary}--\r\n".encode()))
    return f'multipart/related; type="application/dicom"; boundary={boundary}', body


def steps(count: int, size: int) -> list[range]:
    """The numbers 0 to count - 1 in ranges of `size`, the last one maybe shorter."""
    return [range(first, min(first + size, count)) for first in range(0, count, size)]
