"""What a data set says of its pixels (PS3.3 C.7.6.3, Image Pixel Module), read from its DICOM JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
"""A data set in the DICOM JSON model (PS3.18 F.2)."""


@dataclass(frozen=True, slots=True)
class Image:
    """The pixels of an instance.

    :param syntax: the transfer syntax in which its frames are given.
    :param samples: Samples per Pixel. :param photometric: Photometric Interpretation, as it was written.
    :param planar: whether samples lie plane by plane (native and RLE pixel data only).
    :param allocated: Bits Allocated. :param stored: Bits Stored. :param high: High Bit.
    :param signed: whether Pixel Representation is 1.
    :param frames: Number of Frames, as claimed; at least 1.
    :param floating: Float or Double Float Pixel Data.
    """

    syntax: str
    rows: int
    columns: int
    samples: int
    photometric: str
    planar: bool
    allocated: int
    stored: int
    high: int
    signed: bool
    frames: int
    floating: bool = False

    @classmethod
    def of(cls, data: Json, syntax: str) -> Image | None:
        """The pixels of a data set, None where it has none.

        What is missing is taken for what it nearly always is: one sample of 8 bits, MONOCHROME2, all bits stored.
        """
        rows, columns = number(data, "00280010"), number(data, "00280011")
        if not rows or not columns:
            return None
        samples = number(data, "00280002") or 1
        allocated = number(data, "00280100") or 8
        stored = number(data, "00280101") or allocated
        high = number(data, "00280102")
        return cls(
            syntax,
            rows,
            columns,
            samples,
            text(data, "00280004").upper() or ("RGB" if samples == 3 else "MONOCHROME2"),
            number(data, "00280006") == 1,
            allocated,
            stored,
            stored - 1 if high is None else high,
            number(data, "00280103") == 1,
            max(number(data, "00280008") or 1, 1),
            "7FE00010" not in data and ("7FE00008" in data or "7FE00009" in data),
        )

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame in Explicit VR Little Endian, whole ones."""
        return -(-self.rows * self.columns * self.samples * self.allocated // 8)


def number(data: Json, tag: str) -> int | None:
    """The first value of an attribute as a whole number, None where there is none."""
    value = first(data, tag)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def text(data: Json, tag: str) -> str:
    """The first value of an attribute as text, empty where there is none."""
    value = first(data, tag)
    return value.strip() if isinstance(value, str) else ""


def first(data: Json, tag: str) -> Any:
    """The first value of an attribute, None where there is none."""
    element = data.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values[0] if isinstance(values, list) and values else None
