"""Frames in another transfer syntax, laid out as the value of Pixel Data holds them (PS3.5 8.1.1, A.2, A.4).

Native pixel data is cells without gaps, also between frames of single bits. In encapsulated pixel data each frame is one fragment,
of even length, behind an empty Basic Offset Table. Pure numbers but for `Recoding.coded`, which runs in pixel processes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.dicom.structure import UNDEFINED
from gateway.pixels import syntaxes
from gateway.pixels.exchange import Pieces
from gateway.pixels.image import Image
from gateway.pixels.transcode import Transcode

BATCH = 8 << 20
"""Bytes of decoded frames that one job turns over; one frame may have more."""

FRAMES = 128
"""Frames of one job: the smallest take some 20 microseconds each, so that the cost of the job itself hardly shows. Their places are
looked up on the event loop, in a millisecond."""

Coded = Sequence[bytes | memoryview]

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Recoding:
    """Frames on their way from one transfer syntax into another.

    :param before: the pixels as they are stored. :param after: as they will be (`conversion.converted`).
    :param quality: 1 to 100, of lossy encodings; None for the server's own. :param frame_bytes: limit of a decoded frame.
    """

    before: Image
    after: Image
    quality: int | None
    frame_bytes: int

    @property
    def native(self) -> bool:
        """Whether cells are made and no codestreams."""
        return self.after.syntax in syntaxes.NATIVE

    @property
    def bits(self) -> int:
        """Bits of a frame in native pixel data."""
        return self.after.rows * self.after.columns * self.after.samples * self.after.allocated

    def length(self, frames: int) -> int:
        """Bytes that some frames fill in native pixel data, the last one begun."""
        return -(-frames * self.bits // 8)

    @property
    def head(self) -> bytes:
        """The element of the pixel data up to its first frame."""
        if not self.native:
            return _PIXEL_DATA + struct.pack("<2s2xL", b"OB", UNDEFINED) + _ITEM + bytes(4)
        vr = b"OB" if self.after.allocated <= 8 else b"OW"
        length = self.length(self.after.frames)
        return _PIXEL_DATA + struct.pack("<2s2xL", vr, length + length % 2)

    @property
    def tail(self) -> bytes:
        """The element of the pixel data behind its last frame."""
        return bytes(self.length(self.after.frames) % 2) if self.native else _SEQUENCE_END

    def count(self, first: int) -> int:
        """How many frames, from this one on, one job turns over; of single bits as many as are whole bytes."""
        count = max(min(FRAMES, BATCH // max(self.bits // 8, 1)), 1)
        if self.bits % 8:
            count += -count % 8
        return min(count, self.after.frames - first + 1)

    def coded(self, frames: Sequence[bytes]) -> Coded:
        """Frames in the new transfer syntax.

        :param frames: as they are stored, native ones in little endian. :raises Undoable: when one of them cannot be read.
        """
        work = Transcode(self.before, self.after.syntax, self.quality, self.frame_bytes)
        return work([Pieces([frame]) for frame in frames]).content

    def laid(self, coded: Coded) -> list[bytes | memoryview]:
        """Frames as they lie in the file."""
        if not self.native:
            return [part for frame in coded for part in (_ITEM, _even(frame), frame, bytes(len(frame) % 2))]
        return [_joined(coded, self.bits)] if self.bits % 8 else list(coded)


def _even(frame: bytes | memoryview) -> bytes:
    """The length of a fragment."""
    return struct.pack("<L", len(frame) + len(frame) % 2)


def _joined(frames: Coded, bits: int) -> bytes:
    """Frames of single bits without gaps."""
    import numpy as np

    cells = [np.unpackbits(np.frombuffer(frame, np.uint8), count=bits, bitorder="little") for frame in frames]
    return np.packbits(np.concatenate(cells), bitorder="little").tobytes()
