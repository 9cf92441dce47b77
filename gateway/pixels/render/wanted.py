"""What of a data set a picture needs: pure, for those who fetch it.

The header of an object with many frames is tens of megabytes; a picture of one frame needs little of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.pixels.image import Json
from gateway.pixels.render.dataset import PER_FRAME, bulk_path

_GROUPS = frozenset({"0008", "0010", "0018", "0020", "0028", "0054", "2050"})
"""Their values are looked at: identification, acquisition, image, presentation."""

_SEQUENCES = frozenset({"00283000", "00283010", "00480105", "20500010", "52009229"})
"""Modality, VOI and Presentation LUT Sequence; Optical Path Sequence (it has the colour profile of a slide); shared groups."""

_BULK = frozenset(
    {"00281201", "00281202", "00281203"}  # Palette Color Lookup Table Data
    | {"00281221", "00281222", "00281223"}  # the same in segments
    | {"00282000", "00283006"}  # ICC Profile, LUT Data
)
_OVERLAY_DATA = "3000"
_OVERLAYS = frozenset(f"{group:04X}" for group in range(0x6000, 0x6020, 2))


_LOOKED_AT = _GROUPS | _OVERLAYS | {tag[:4] for tag in _SEQUENCES}


def narrowed(data: Json, number: int) -> dict[str, Any]:
    """A data set with no more than a picture of a frame needs; its Per-Frame Functional Groups Sequence has one item, that frame's.

    :param number: of the frame, from 1.
    """
    kept = {tag: element for tag, element in data.items() if tag[:4] in _LOOKED_AT and _is_kept(tag, element)}
    own = data.get(PER_FRAME)
    values = own.get("Value") if isinstance(own, Mapping) else None
    if isinstance(values, list) and values:
        at = 0 if len(values) == 1 else number - 1
        kept[PER_FRAME] = {"vr": "SQ", "Value": values[at : at + 1]}
    return kept


def wanted(data: Json) -> list[str]:
    """The bulk data that a picture of a frame needs: the part of each BulkDataURI behind ``/bulkdata/``.

    Palettes, tables, overlays, colour profiles; a palette or table that stands in the model itself is not named.

    :param data: as `narrowed` left it.
    """
    return list(dict.fromkeys(_paths(data, 0)))


def _is_kept(tag: str, element: Any) -> bool:
    if tag[:4] in _OVERLAYS or tag in _SEQUENCES:
        return True
    return tag[:4] in _GROUPS and isinstance(element, Mapping) and element.get("vr") != "SQ"


_DEEPEST = 6
"""Sequences inside each other: functional groups > macro > table is three."""


def _paths(data: Mapping[str, Any], depth: int) -> Iterator[str]:
    for tag, element in data.items():
        if not isinstance(element, Mapping):
            continue
        if "BulkDataURI" in element:
            path = bulk_path(element)
            if path and (tag in _BULK or (tag[:4] in _OVERLAYS and tag[4:] == _OVERLAY_DATA)):
                yield path
        elif element.get("vr") == "SQ" and depth < _DEEPEST:
            for item in element.get("Value") or ():
                if isinstance(item, Mapping):
                    yield from _paths(item, depth + 1)
