"""A frame as a presentation state wants it, as work for a pixel process; and what images a state refers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.dicomweb.rendering import Rendering
from gateway.pixels.image import Image, Json
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import PER_FRAME, SHARED, Attributes
from gateway.pixels.render.picture import parsed
from gateway.pixels.work import Given, Made

_STATE = "state/"
"""In front of the bulk paths of the state, so that they are never those of the image."""

_REPLACED = ("00283000", "00281052", "00281053", "00281054", "00283010", "00281050", "00281051", "00281056", "20500010", "20500020")
"""Modality LUT, VOI LUT and Presentation LUT: of the state alone, for whatever it does not say is no change (PS3.4 N.2)."""

_TOLD, _SHAPE = ("0008", "0010", "0018", "0020"), ("00181164", "00182010")
"""Groups of what annotations tell; Imager Pixel Spacing and Nominal Scanned Pixel Spacing, which would stretch the picture again."""

_VOI = ("00283010", "00281050", "00281051", "00281056")


def references(data: Json) -> list[tuple[str, str, tuple[int, ...]]]:
    """Series, SOP Instance UID and frames of each image that a presentation state refers to; no frames means all."""
    found = []
    for series in Attributes(data).items("00081115"):
        for one in series.items("00081140"):
            frames = tuple(int(value) for value in one.decimals("00081160") if value >= 1)
            found.append((series.text("0020000E"), one.text("00081155"), frames))
    return found


@dataclass(frozen=True, slots=True)
class Presented:
    """Inputs: the header of the image, that of the state, the frame, then the bulk data of both.

    :param number: of the frame, from 1. :param sop: of the image. :param bulk: paths of its bulk data. :param states: of the state's.
    """

    image: Image
    number: int
    sop: str
    media: str
    rendering: Rendering
    limits: PixelLimits
    bulk: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """Draws it.

        :raises Undoable: when the frame cannot be decoded or drawn as asked.
        """
        from gateway.pixels.decoding import Decoded, decoded
        from gateway.pixels.render.finishing import finished
        from gateway.pixels.render.pipeline import displayed
        from gateway.pixels.render.presentation import presented

        names = [*self.bulk, *(_STATE + path for path in self.states)]
        values = {path: one.read() for path, one in zip(names, inputs[3:], strict=True)}
        state = Attributes(_moved(parsed(inputs[1].read())), values)
        data = Attributes(merged(parsed(inputs[0].read()), state, self.sop, self.number), values)
        frame = decoded(inputs[2].read(), self.image, self.limits.frame_bytes)
        if frame.photometric == "MONOCHROME1":  # the state's Presentation LUT has the last word, not the image (PS3.4 N.2.1.3)
            frame = Decoded(frame.array, "MONOCHROME2")
        pixels = displayed(frame, data, self.number, self.rendering)
        whole = presented(pixels, data, state, self.sop, self.number, self.rendering, self.limits)
        return finished(whole, Attributes(_said(data.data), values), self.media, self.rendering, self.limits, number=self.number)


def merged(data: Json, state: Attributes, sop: str, number: int) -> dict[str, Any]:
    """The header of the image with what the state says in place of its own."""
    kept = {tag: element for tag, element in data.items() if tag not in _REPLACED and not _is_overlay(tag)}
    for tag in (SHARED, PER_FRAME):
        if tag in kept:
            kept[tag] = {"vr": "SQ", "Value": [_without_tables(one.data) for one in Attributes(data).items(tag)]}
    for tag in ("00283000", "00281052", "00281053", "00281054", "20500010", "20500020", "00282000"):
        if tag in state:
            kept[tag] = state.data[tag]
    for one in referring(state.items("00283110"), sop, number)[:1]:
        kept.update({tag: one.data[tag] for tag in _VOI if tag in one})
    return kept | _overlays(data, state)


def referring(items: Sequence[Attributes], sop: str, number: int) -> list[Attributes]:
    """Those of the items that mean a frame of an image: by Referenced Image Sequence, or for lack of one."""
    return [one for one in items if "00081140" not in one or any(_names(image, sop, number) for image in one.items("00081140"))]


def _names(image: Attributes, sop: str, number: int) -> bool:
    frames = image.decimals("00081160")
    return image.text("00081155") == sop and (not frames or number in frames)


def _overlays(data: Json, state: Attributes) -> dict[str, Any]:
    """The overlays that the state activates: its own, or those of the image (PS3.3 C.11.7)."""
    active = {tag[:4] for tag in state.data if _is_overlay(tag) and tag[4:] == "1001" and state.text(tag)}
    shutter = state.number("00187623") or 0
    own = {tag for tag in state.data if _is_overlay(tag) and tag[:4] in active and tag[:4] != f"{shutter:04X}"}
    with_data = {tag[:4] for tag in own if tag[4:] == "3000"}
    theirs = {tag: element for tag, element in data.items() if _is_overlay(tag) and tag[:4] in active - with_data}
    return theirs | {tag: state.data[tag] for tag in own if tag[:4] in with_data}


def _is_overlay(tag: str) -> bool:
    return tag[:2] == "60" and tag[:4] <= "601E"


def _without_tables(group: Json) -> Json:
    """A functional group without Pixel Value Transformation and Frame VOI LUT."""
    return {tag: element for tag, element in group.items() if tag not in ("00289145", "00289132")}


def _said(data: Json) -> Json:
    """What is left to be looked at once the picture has its shape: names and the colour profile, not the shape of a pixel."""
    return {tag: element for tag, element in data.items() if (tag[:4] in _TOLD and tag not in _SHAPE) or tag == "00282000"}


def _moved(state: Any) -> Any:
    """The header of a state with its bulk data elsewhere: `_STATE`."""
    if isinstance(state, list):
        return [_moved(one) for one in state]
    if not isinstance(state, Mapping):
        return state
    return {tag: _uri(one) if tag == "BulkDataURI" and isinstance(one, str) else _moved(one) for tag, one in state.items()}


def _uri(uri: str) -> str:
    base, found, path = uri.rpartition("/bulkdata/")
    return f"{base}{found}{_STATE}{path}" if found else uri
