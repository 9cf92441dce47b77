"""Made-up studies, cheap enough that a load client is not slowed by making them.

An instance is a header with its own values (headers.py), followed by pictures that all instances share, so that one costs some
ten microseconds and a copy of its pixels.

1. The same arguments give the same bytes. Whoever knows (seed, number, slices, shape) knows every byte that was sent, so
   nothing has to be remembered to check what comes back.
2. No two instances are alike, and no two frames of a run: the first row of each frame carries its numbers as pixels.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Final

from pydicom.uid import PYDICOM_ROOT_UID

from loadtests.headers import Template, template

Piece = bytes | bytearray | memoryview

PICTURES = 8  # different pictures a shape: enough that neighbours differ, few enough to stay in memory (4 MiB for CT)
STAMP_PIXELS = 16  # hexadecimal digits: seven of the study, five of the slice, four of the frame
_SLICE_DIGITS = 5  # of the number of a slice, at the end of its UIDs
MAX_PIXEL_BYTES = 0xFFFFFFFE  # PS3.5 7.1: a defined length is even and below FFFFFFFF

_SURNAMES = ("Almond", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Larch", "Maple", "Oak")
_GIVEN_NAMES = ("Ada", "Boris", "Clara", "David", "Emmy", "Felix", "Grace", "Henri", "Irene", "James", "Karen")
_DIGIT_TO_PIXEL = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))


@dataclass(frozen=True, slots=True)
class Shape:
    """The picture of an instance: 16 bits allocated, 12 stored, one sample a pixel.

    :raises ValueError: when a side is too small for the stamp, or the pixels do not fit into one element.
    """

    rows: int
    columns: int
    frames: int = 1

    def __post_init__(self) -> None:
        if self.rows < 1 or self.frames < 1 or self.columns < STAMP_PIXELS or max(self.rows, self.columns) > 0xFFFF:
            raise ValueError(f"an image needs 1 to 65535 rows, {STAMP_PIXELS} to 65535 columns and a frame")
        if self.frame_bytes * self.frames > MAX_PIXEL_BYTES:
            raise ValueError(f"{self.frames} frames of {self.frame_bytes} bytes are more than one Pixel Data element can hold")

    @property
    def frame_bytes(self) -> int:
        """The length of one frame in bytes."""
        return self.rows * self.columns * 2

    @classmethod
    def parse(cls, text: str) -> Shape:
        """A name of `SIZES`, or ``ROWSxCOLUMNS`` or ``ROWSxCOLUMNSxFRAMES``.

        :raises ValueError: for anything else.
        """
        if text in SIZES:
            return SIZES[text]
        numbers = text.split("x")
        if len(numbers) not in (2, 3) or not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError(f"a size is one of {', '.join(SIZES)}, or ROWSxCOLUMNS, or ROWSxCOLUMNSxFRAMES")
        return cls(*map(int, numbers))


SIZES: Final[Mapping[str, Shape]] = {
    "small": Shape(16, 16),  # 512 bytes of pixels: what an instance costs apart from its size
    "ct": Shape(512, 512),  # 0.5 MiB: a CT slice
    "multiframe": Shape(512, 512, 20),  # 10 MiB: a short cine loop
}


@dataclass(frozen=True, slots=True)
class Study:
    """One study of one series, all of it computed from four values.

    :param seed: 0 to 9,999,999,999; tells runs apart.
    :param number: 0 to 99,999,999; tells the studies of a run apart.
    :param slices: how many instances it has, 1 to 99,999. They are counted from 0.
    :raises ValueError: when a number is out of its range: it would change the length of a UID.
    """

    seed: int
    number: int
    slices: int
    shape: Shape

    def __post_init__(self) -> None:
        if not (0 <= self.seed < 10**10 and 0 <= self.number < 10**8 and 0 < self.slices < 10**5):
            raise ValueError("the seed has 10 digits at most, the number of a study 8, and that of its slices 5")

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return self._uid(1)

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return self._uid(2)

    @property
    def patient_id(self) -> str:
        """PatientID; every study has its own patient."""
        return f"LOAD{self.seed:010d}{self.number:08d}"

    @property
    def patient_name(self) -> str:
        """PatientName; many patients share one."""
        return f"{_SURNAMES[self.number % len(_SURNAMES)]}^{_GIVEN_NAMES[self.number % len(_GIVEN_NAMES)]}"

    @property
    def date(self) -> str:
        """StudyDate, YYYYMMDD, spread over the five years from 2020."""
        return f"{2020 + self.number // 336 % 5}{1 + self.number // 28 % 12:02d}{1 + self.number % 28:02d}"

    def sop_uid(self, index: int) -> str:
        """SOP Instance UID of the slice `index`, 0 to slices - 1.

        :raises IndexError: for any other.
        """
        if not 0 <= index < self.slices:
            raise IndexError(f"slice {index} of {self.slices}")
        return self._uid(3, index)

    def sop_uids(self) -> list[str]:
        """All of them, in the order of the slices."""
        return [self._uid(3, index) for index in range(self.slices)]

    def pieces(self, index: int) -> list[Piece]:
        """A Part 10 file as pieces that follow each other, so that a request body is joined with a single copy."""
        pieces: list[Piece] = [_template(self.shape).written(_study_header(self), _slice_values(self, index))]
        for frame in range(1, self.shape.frames + 1):
            pieces += self._frame(index, frame)
        return pieces

    def instance(self, index: int) -> bytes:
        """The Part 10 file of one slice."""
        return b"".join(self.pieces(index))

    def index_of(self, file: bytes) -> int | None:
        """Which slice of this study a Part 10 file says to be, by its SOP Instance UID; None for none of them."""
        uid = _template(self.shape).read(file, "sop")
        digits = uid[-_SLICE_DIGITS:]
        index = int(digits) if digits.isascii() and digits.isdigit() else self.slices
        return index if index < self.slices and uid == self._uid(3, index) else None

    def frame(self, index: int, frame: int) -> bytes:
        """The pixels of one frame, counted from 1 as in a URL: 16-bit little endian, row by row."""
        if not 1 <= frame <= self.shape.frames:
            raise IndexError(f"frame {frame} of {self.shape.frames}")
        return b"".join(self._frame(index, frame))

    def _uid(self, kind: int, index: int = 0) -> str:
        return f"{PYDICOM_ROOT_UID}{kind}{self.seed:010d}{self.number:08d}{index:0{_SLICE_DIGITS}d}"

    def _frame(self, index: int, frame: int) -> list[Piece]:
        digits = f"{self.number:07x}{index:05x}{frame & 0xFFFF:04x}".encode()
        stamp = bytearray(2 * STAMP_PIXELS)
        stamp[1::2] = digits.translate(_DIGIT_TO_PIXEL)  # a digit d is the pixel 256 * d: within 12 bits, and visible
        picture = _pictures(self.shape.rows, self.shape.columns)[(index + frame) % PICTURES]
        return [stamp, memoryview(picture)[len(stamp) :]]


def _template(shape: Shape) -> Template:
    return template(shape.rows, shape.columns, shape.frames)


@lru_cache(maxsize=256)
def _study_header(study: Study) -> bytearray:
    """What all slices of a study share. Never changed once it is here."""
    blank = _template(study.shape)
    return blank.written(
        blank.header,
        {
            "study": study.uid,
            "series": study.series_uid,
            "patient": study.patient_id,
            "name": study.patient_name,
            "date": study.date,
            "accession": f"A{study.number:08d}",
        },
    )


def _slice_values(study: Study, index: int) -> dict[str, str]:
    return {"sop": study.sop_uid(index), "instance": str(index + 1), "position": f"{-1.25 * index:.2f}"}


@lru_cache
def _pictures(rows: int, columns: int) -> list[bytes]:
    """A bright ellipse on a dark ground, wider from picture to picture, under noise that no compression removes.

    A pixel is ``256 * level + noise``: the low bytes are the noise, the high ones the picture.
    """
    pictures = []
    for number in range(PICTURES):
        pixels = bytearray(2 * rows * columns)
        pixels[0::2] = random.Random(number).randbytes(rows * columns)
        pixels[1::2] = b"".join(_row(row, rows, columns, number) for row in range(rows))
        pictures.append(bytes(pixels))
    return pictures


def _row(row: int, rows: int, columns: int, number: int) -> bytes:
    height = 2 * row + 1 - rows  # twice the distance from the middle row
    half = isqrt(rows * rows - height * height) * (columns * (PICTURES + number)) // (4 * PICTURES * rows)
    return (b"\x04" * 2 * half).center(columns, b"\x00")
