"""A small video in H.264, written by hand: every picture stands alone, and its samples stand in it as they are (I_PCM).

No encoder is needed for that, and every decoder reads it (ITU-T H.264 7.3). It is as large as raw video, and a second of a test
does not mind.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Any

import numpy as np

Planes = Sequence["np.ndarray[Any, np.dtype[np.uint8]]"]
"""Y, Cb, Cr of a picture; Cb and Cr with half the rows and columns."""

PROFILE, LEVEL = 100, 41  # High, 4.1: Transfer Syntax 1.2.840.10008.1.2.4.102
_PCM = 25  # mb_type of I_PCM in an I slice (table 7-11)


class Bits:
    """A bit stream, most significant bit first."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def u(self, value: int, width: int) -> Bits:
        self._bits.append(f"{value:0{width}b}")
        return self

    def ue(self, value: int) -> Bits:
        """Exp-Golomb code (9.1)."""
        text = f"{value + 1:b}"
        return self.u(0, len(text) - 1).u(value + 1, len(text)) if value else self.u(1, 1)

    def se(self, value: int) -> Bits:
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def octets(self, data: bytes) -> Bits:
        """Bytes at the next whole byte."""
        self._bits.append("0" * (-len("".join(self._bits)) % 8))
        self._bits.append("".join(f"{byte:08b}" for byte in data))
        return self

    def ended(self) -> bytes:
        """With rbsp_trailing_bits."""
        text = "".join(self._bits) + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def sequence_set(rows: int, columns: int) -> bytes:
    """The sequence parameter set (7.3.2.1)."""
    bits = Bits().u(PROFILE, 8).u(0, 8).u(LEVEL, 8).ue(0).ue(1).ue(0).ue(0).u(0, 1).u(0, 1)  # 4:2:0, 8 bits, no scaling lists
    bits.ue(0).ue(2).ue(0).u(0, 1)  # frame numbers of 4 bits, output order is decoding order, no references
    bits.ue(columns // 16 - 1).ue(rows // 16 - 1).u(1, 1).u(1, 1).u(0, 1).u(0, 1)  # frames, not fields; neither cropping nor VUI
    return _unit(7, bits.ended())


def picture_set() -> bytes:
    """The picture parameter set (7.3.2.2): CAVLC, and nothing else."""
    bits = Bits().ue(0).ue(0).u(0, 1).u(0, 1).ue(0).ue(0).ue(0).u(0, 1).u(0, 2).se(0).se(0).se(0).u(1, 1).u(0, 1).u(0, 1)
    return _unit(8, bits.ended())


def picture(planes: Planes, number: int) -> bytes:
    """One picture as an IDR slice of I_PCM macroblocks (7.3.3, 7.3.5)."""
    luma, *chroma = planes
    head = Bits().ue(0).ue(7).ue(0).u(0, 4).ue(number % 2)  # all macroblocks, I; neighbours differ in idr_pic_id
    head.u(0, 1).u(0, 1).se(0).ue(1)  # no marking, quantiser as stated, no deblocking
    out, text = bytearray(), "".join(head._bits)
    for y in range(0, luma.shape[0], 16):
        for x in range(0, luma.shape[1], 16):
            text += Bits().ue(_PCM)._bits[0] + Bits().ue(_PCM)._bits[1]
            text += "0" * (-len(text) % 8)
            out += int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:]
            text = ""
            out += luma[y : y + 16, x : x + 16].tobytes()
            for plane in chroma:
                out += plane[y // 2 : y // 2 + 8, x // 2 : x // 2 + 8].tobytes()
    return _unit(5, bytes(out) + b"\x80")


def _unit(kind: int, payload: bytes) -> bytes:
    """A NAL unit without its start code; what would look like one is escaped (7.4.1)."""
    escaped, zeros = bytearray(), 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes([0x60 | kind]) + bytes(escaped)


# -- MP4 (ISO/IEC 14496-12, -14, -15)


def mp4(pictures: Sequence[Planes], rate: int) -> bytes:
    """A file that begins with what a reader needs, so that it plays while it comes."""
    rows, columns = pictures[0][0].shape
    samples = [pack(">I", len(unit)) + unit for unit in (picture(one, number) for number, one in enumerate(pictures))]
    file_type = _box("ftyp", b"isom", pack(">I", 0x200), b"isomiso2avc1mp41")
    movie = _movie(samples, rows, columns, rate, 0)  # as long as it is with the offset of the samples, which depends on its length
    movie = _movie(samples, rows, columns, rate, len(file_type) + len(movie) + 8)
    return file_type + movie + _box("mdat", *samples)


def _movie(samples: list[bytes], rows: int, columns: int, rate: int, start: int) -> bytes:
    count, matrix = len(samples), pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    length = 1000 * count // rate
    head = _full("mvhd", pack(">4I", 0, 0, 1000, length), pack(">IHH2I", 0x10000, 0x100, 0, 0, 0), matrix, bytes(24), pack(">I", 2))
    track = _full("tkhd", pack(">5I", 0, 0, 1, 0, length), bytes(16), matrix, pack(">II", columns << 16, rows << 16), flags=3)
    media = _full("mdhd", pack(">4IHH", 0, 0, rate, count, 0x55C4, 0))
    handler = _full("hdlr", bytes(4), b"vide", bytes(12), b"video\0")
    source = _box("dinf", _full("dref", pack(">I", 1), _full("url ", flags=1)))
    table = _box(
        "stbl",
        _full("stsd", pack(">I", 1), _avc1(rows, columns)),
        _full("stts", pack(">3I", 1, count, 1)),
        _full("stsc", pack(">4I", 1, 1, count, 1)),
        _full("stsz", pack(">2I", 0, count), *(pack(">I", len(one)) for one in samples)),
        _full("stco", pack(">2I", 1, start)),
    )
    info = _box("minf", _full("vmhd", bytes(8), flags=1), source, table)
    return _box("moov", head, _box("trak", track, _box("mdia", media, handler, info)))


def _avc1(rows: int, columns: int) -> bytes:
    one, other = sequence_set(rows, columns), picture_set()
    lists = pack(">BH", 0xE1, len(one)) + one + pack(">BH", 1, len(other)) + other
    config = _box("avcC", bytes([1, PROFILE, 0, LEVEL, 0xFF]), lists, bytes([0xFD, 0xF8, 0xF8, 0]))
    shape = pack(">HH", columns, rows) + pack(">II", 0x480000, 0x480000) + bytes(4)
    return _box("avc1", bytes(6), pack(">H", 1), bytes(16), shape, pack(">H", 1), bytes(32), pack(">Hh", 24, -1), config)


def _full(kind: str, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, pack(">I", flags), *parts)


def _box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return pack(">I", len(body) + 8) + kind.encode() + body
