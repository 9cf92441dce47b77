"""Palette colour: indices become red, green and blue (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6), also out of segments (C.7.9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.image import Image
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.lookup import descriptor, words
from gateway.pixels.work import Undoable

_COLOURS = (("00281101", "00281201", "00281221"), ("00281102", "00281202", "00281222"), ("00281103", "00281203", "00281223"))
"""Descriptor, data and segmented data of red, green and blue."""

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MOST = 1 << 16
"""Entries of a palette, and segments that are followed to make them: some make none."""


@dataclass(frozen=True)
class Palette:
    """:param first: the index of the first entry. :param entries: (entries, 3) of red, green and blue."""

    first: int
    entries: NDArray[np.uint8]

    def of(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The colours of indices; those outside get the first or last entry."""
        at = np.clip(values - self.first, 0, len(self.entries) - 1)
        return self.entries[at.astype(np.intp)]


def palette(data: Attributes, image: Image) -> Palette:
    """The palette of an image.

    :raises Undoable: when one of its three tables is missing or makes no sense.
    """
    channels = [_channel(data, tags, image) for tags in _COLOURS]
    count = min(entries.size for _, entries in channels)
    entries = np.stack([entries[:count] for _, entries in channels], axis=1)
    if int(entries.max()) > 0xFF:
        entries >>= 8
    return Palette(channels[0][0], entries.astype(np.uint8))


def supplement(data: Attributes, image: Image, number: int) -> Palette | None:
    """The palette for the values of a grey image that are colours: from its first entry on (C.7.6.19); None where it has none."""
    if _COLOURS[0][0] not in data or not _has_colour(data, number):
        return None
    return palette(data, image)


def _has_colour(data: Attributes, number: int) -> bool:
    """Whether Pixel Presentation says so, of the image or, in CT, MR and PET Image Frame Type Sequence, of the frame."""
    kinds = [data.group(tag, number) for tag in ("00189329", "00189226", "00189751")]
    return any(place.text("00089205") in ("COLOR", "MIXED") for place in (data, *kinds) if place is not None)


def _channel(data: Attributes, tags: tuple[str, str, str], image: Image) -> tuple[int, NDArray[np.uint16]]:
    described = descriptor(data.decimals(tags[0]), signed=image.signed)
    if described is None:
        raise Undoable("the picture is in palette colour and its palette is not described")
    count, first, bits = described
    entries = _entries(data, tags, count, bits)
    if not entries.size:
        raise Undoable("the picture is in palette colour and its palette is empty")
    return first, entries


def _entries(data: Attributes, tags: tuple[str, str, str], count: int, bits: int) -> NDArray[np.uint16]:
    plain = data.octets(tags[1])
    if plain:
        return words(plain, count, bits).astype(np.uint16)
    segments = data.octets(tags[2])
    if not segments:
        raise Undoable("the picture is in palette colour and its palette could not be had")
    return _expanded(
        np.frombuffer(segments, np.uint8 if bits <= 8 else "<u2", len(segments) // (1 if bits <= 8 else 2)).tolist(), bits, count
    )


def _expanded(code: list[int], bits: int, count: int) -> NDArray[np.uint16]:
    """The entries that segments stand for, at most `count`."""
    found: list[int] = []
    for step, segment in enumerate(_segments(code, bits)):
        kind, values = segment[0], segment[1:]
        if kind == _DISCRETE:
            found += values
        elif found:
            found += _line(found[-1], values[1], values[0])
        if len(found) >= count or step > _MOST:
            break
    return np.array(found[:count], np.uint16)


def _segments(code: list[int], bits: int) -> Iterator[list[int]]:
    """Discrete segments as ``[0, value, ...]``, linear ones as ``[1, length, end]``; an indirect one names others to be repeated."""
    place = 0
    while place < len(code):
        place, segment = _segment(code, place, bits)
        if segment[0] == _INDIRECT:
            yield from _repeated(code, segment[1], segment[2], bits)
        else:
            yield segment


def _repeated(code: list[int], count: int, place: int, bits: int) -> Iterator[list[int]]:
    for _ in range(count):
        place, segment = _segment(code, place, bits)
        if segment[0] == _INDIRECT:
            raise Undoable("the palette of the picture refers to itself")
        yield segment


def _segment(code: list[int], place: int, bits: int) -> tuple[int, list[int]]:
    """The segment at a place, and the place behind it."""
    kind, length, *_ = (*code[place : place + 2], -1, -1)
    behind = place + 2 + {_DISCRETE: length, _LINEAR: 1, _INDIRECT: 2 if bits > 8 else 4}.get(kind, 0)
    if length < 0 or kind > _INDIRECT or behind > len(code):
        raise Undoable("the palette of the picture is damaged")
    rest = code[place + 2 : behind]
    if kind == _INDIRECT:
        offset = sum(part << (at * (16 if bits > 8 else 8)) for at, part in enumerate(rest))
        return behind, [kind, length, offset // (2 if bits > 8 else 1)]
    return behind, [kind, *rest] if kind == _DISCRETE else [kind, length, rest[0]]


def _line(start: int, end: int, length: int) -> list[int]:
    """Values from behind `start` to `end`."""
    return [round(start + (end - start) * step / length) for step in range(1, min(length, _MOST) + 1)]
