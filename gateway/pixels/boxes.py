"""The boxes of JP2 and JPEG XL files (ISO/IEC 15444-1 I.4, 18181-2 9): a length, a name of four letters, and what is in it."""

from __future__ import annotations

import struct
from typing import NamedTuple


class Box(NamedTuple):
    """:param start: of its content. :param end: of its content, None where it goes on to the end of the file."""

    start: int
    end: int | None


def find(data: bytes, name: bytes) -> Box | None:
    """The first box of that name that begins within `data`, which may be the head of a file. None where there is none."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, position)
        content = position + 8
        if length == 1:  # the length stands behind the name then
            if content + 8 > len(data):
                return None
            (length,) = struct.unpack_from(">Q", data, content)
            content += 8
        if kind == name:
            return Box(content, position + length if length else None)
        if length < 8:  # 0: this box is the last one
            return None
        position += length
    return None
