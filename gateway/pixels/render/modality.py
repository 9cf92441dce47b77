"""Stored values become values of a quantity: the Modality LUT (PS3.3 C.11.1, PS3.4 N.2.1.1), or Pixel Value Transformation of a
frame (PS3.3 C.7.6.16.2.9)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.pixels.render.cells import Floats
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.lookup import Table, table

_INTERCEPT, _SLOPE, _TYPE, _SEQUENCE = "00281052", "00281053", "00281054", "00283000"
_TRANSFORMATION = "00289145"
_PROJECTED = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2", "1.2.840.10008.5.1.4.1.1.12.3")
"""X-Ray Angiographic, Radiofluoroscopic and retired bi-plane images."""
_BACKWARDS = ("LOG", "DISP")


@dataclass(frozen=True)
class Modality:
    """:param lut: where there is one. :param slope: never 0. :param kind: Rescale Type, empty where it is not said."""

    lut: Table | None = None
    slope: float = 1.0
    intercept: float = 0.0
    kind: str = ""
    given: bool = False

    def of(self, values: Floats) -> Floats:
        """What stored values stand for."""
        if self.lut is not None:
            return self.lut.of(values)
        return values if (self.slope, self.intercept) == (1.0, 0.0) else values * self.slope + self.intercept

    @property
    def step(self) -> float:
        """What a step of 1 in stored values becomes, at most 1."""
        return 1.0 if self.lut is not None else min(abs(self.slope), 1.0)


def modality(data: Attributes, number: int, *, signed: bool) -> Modality:
    """The transformation of a frame.

    :param number: of the frame, from 1. :param signed: whether stored values can be below zero.
    """
    if _is_for_measuring(data):
        return Modality()
    found = table(data.item(_SEQUENCE), signed=signed)
    if found is not None:
        return Modality(lut=found, given=True)
    place = data.group(_TRANSFORMATION, number) or data
    slope, intercept = place.decimal(_SLOPE), place.decimal(_INTERCEPT)
    if slope is None and intercept is None:
        return Modality()
    return Modality(slope=slope or 1.0, intercept=intercept or 0.0, kind=place.text(_TYPE), given=True)


def _is_for_measuring(data: Attributes) -> bool:
    """The table of such an image leads back to X-ray intensity; its windows are meant for stored values (PS3.3 C.8.7.1.1.2)."""
    return data.text("00080016") in _PROJECTED and data.text("00281040") in _BACKWARDS
