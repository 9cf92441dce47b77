"""Graphics and text of a presentation state, drawn on a picture (PS3.3 C.10.5, Graphic Annotation Module; C.10.7, Graphic Layer)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from gateway.pixels.render.annotations import drawable
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.presented import referring
from gateway.pixels.render.segments import srgb
from gateway.pixels.render.writing import Pixels

if TYPE_CHECKING:
    from gateway.pixels.render.presentation import Turn

Point = tuple[float, float]
Colour = tuple[int, int, int]

OBJECTS = 2_000
"""Graphics and texts that are drawn at most; people draw dozens."""
POINTS = 20_000
"""Points of one of them."""
LETTERS = 2_000
"""Characters of one text."""

_EDGE: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_STEPS = 8
"""Straight lines between two points of a curve."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where things go.

    :param left: of the area that is shown, in pixels of the image. :param top: likewise. :param width: its size. :param height: likewise.
    :param turn: what is done to it. :param across: pixels of the result. :param down: likewise.
    """

    left: float
    top: float
    width: float
    height: float
    turn: Turn
    across: int
    down: int

    def point(self, x: float, y: float, units: str) -> Point:
        """A point of the picture. :param units: DISPLAY for fractions of the area as it is seen, else pixels of the image."""
        if units == "DISPLAY":
            return x * self.across, y * self.down
        turned = self.turn.point(x - self.left, y - self.top, self.width, self.height)
        width, height = self.turn.size(self.width, self.height)
        return turned[0] * self.across / width, turned[1] * self.down / height

    def points(self, numbers: Sequence[float], units: str) -> list[Point]:
        """Points of pairs of numbers; those far beyond the picture are moved to somewhere that can be drawn."""
        pairs = zip(numbers[: 2 * POINTS : 2], numbers[1 : 2 * POINTS : 2], strict=False)
        found = [self.point(x, y, units) for x, y in pairs]
        return [(min(max(x, -1e5), 1e5), min(max(y, -1e5), 1e5)) for x, y in found]

    @property
    def stroke(self) -> int:
        """Pixels of a line's width."""
        return max(1, round(max(self.across, self.down) / 700))

    @property
    def letter(self) -> int:
        """Pixels of the height of a letter."""
        return max(10, round(min(self.across, self.down) / 32))


def drawn(pixels: Pixels, sheet: Sheet, state: Attributes, sop: str, number: int) -> Pixels:
    """The picture with what a state says of it: grey as long as all of it is."""
    objects = [
        (one, _colour(state, annotation.text("00700002")), tag)
        for annotation in _ordered(state, referring(state.items("00700001"), sop, number))
        for tag in ("00700009", "00700008")
        for one in annotation.items(tag)
    ][:OBJECTS]
    if not objects:
        return pixels
    coloured = pixels.ndim == 3 or any(len(set(colour)) > 1 for _, colour, _ in objects)
    picture = Picture.fromarray(pixels).convert("RGB")
    pen = _Pen(ImageDraw.Draw(picture), sheet)
    for one, colour, tag in objects:
        (pen.graphic if tag == "00700009" else pen.text)(one, colour)
    return np.asarray(picture if coloured else picture.getchannel(0))


def _ordered(state: Attributes, annotations: list[Attributes]) -> list[Attributes]:
    """In the order of their layers, the lowest first."""
    order = {layer.text("00700002"): layer.decimal("00700062") or 0 for layer in state.items("00700060")}
    return sorted(annotations, key=lambda one: order.get(one.text("00700002"), 0))


def _colour(state: Attributes, name: str) -> Colour:
    """What a layer recommends; white for lack of it."""
    layer = next((one for one in state.items("00700060") if one.text("00700002") == name), None)
    if layer is None:
        return _WHITE
    lab = [int(value) for value in layer.decimals("00700401")]
    if len(lab) == 3:
        return srgb(*lab)
    grey = layer.decimal("00700066")
    level = 255 if grey is None else round(min(max(grey, 0), 65535) / 65535 * 255)
    return level, level, level


class _Pen:
    def __init__(self, draw: ImageDraw.ImageDraw, sheet: Sheet) -> None:
        self._draw = draw
        self._sheet = sheet

    # -- graphics

    def graphic(self, one: Attributes, colour: Colour) -> None:
        """One of Graphic Object Sequence."""
        points = self._sheet.points(numbers(one), one.text("00700005"))
        shape = _SHAPES.get(one.text("00700023"))
        line = shape(points) if shape is not None and points else []
        if one.text("00700024") == "Y" and len(line) > 2:
            self._draw.polygon(line, fill=colour)
        if len(line) > 1:
            self._line(line, colour)
        elif line:
            self._dot(line[0], colour)

    def _line(self, line: list[Point], colour: Colour) -> None:
        stroke = self._sheet.stroke
        if colour != _EDGE:
            self._draw.line(line, _EDGE, stroke + 2, joint="curve")
        self._draw.line(line, colour, stroke, joint="curve")

    def _dot(self, point: Point, colour: Colour) -> None:
        (x, y), size = point, 2 * self._sheet.stroke
        self._draw.ellipse((x - size, y - size, x + size, y + size), colour, _EDGE)

    # -- text

    def text(self, one: Attributes, colour: Colour) -> None:
        """One of Text Object Sequence: in its box, or at its anchor."""
        said = "\n".join(map(drawable, one.text("00700006")[:LETTERS].splitlines()))
        box = self._sheet.points([*one.decimals("00700010"), *one.decimals("00700011")], one.text("00700003"))
        anchor = self._sheet.points(one.decimals("00700014"), one.text("00700004"))
        if anchor and one.text("00700015") == "Y":
            self._dot(anchor[0], colour)
            if len(box) == 2:
                self._line([anchor[0], _nearest(box, anchor[0])], colour)
        if len(box) == 2:
            self._boxed(said, box, one.text("00700012"), colour)
        elif anchor:
            x, y = anchor[0]
            self._written(said, (x + 3 * self._sheet.stroke, y), "lm" if "\n" not in said else "la", colour)

    def _boxed(self, said: str, box: list[Point], justified: str, colour: Colour) -> None:
        left, right = sorted((box[0][0], box[1][0]))
        top = min(box[0][1], box[1][1])
        x, anchor = {"CENTER": ((left + right) / 2, "ma"), "RIGHT": (right, "ra")}.get(justified, (left, "la"))
        self._written(said, (x, top), anchor, colour)

    def _written(self, said: str, place: Point, anchor: str, colour: Colour) -> None:
        if said:
            font = ImageFont.load_default(self._sheet.letter)
            edge = 0 if colour == _EDGE else 1
            self._draw.text(place, said, colour, font, anchor=anchor, stroke_width=edge, stroke_fill=_EDGE)


def _nearest(box: list[Point], point: Point) -> Point:
    """The point of a box's edge or inside that is next to another."""
    (left, right), (top, bottom) = (sorted((box[0][at], box[1][at])) for at in (0, 1))
    return min(max(point[0], left), right), min(max(point[1], top), bottom)


def numbers(one: Attributes) -> list[float]:
    """Graphic Data, of which a long one is bulk data."""
    found = one.decimals("00700022")
    if not found and (octets := one.octets("00700022")):
        found = [float(value) for value in np.frombuffer(octets[: len(octets) // 4 * 4], "<f4")]
    return [value for value in found if math.isfinite(value)]


# -- shapes: the points of their outlines


def _polyline(points: list[Point]) -> list[Point]:
    return points


def _point(points: list[Point]) -> list[Point]:
    return points[:1]


def _circle(points: list[Point]) -> list[Point]:
    """Of its center and a point on it."""
    if len(points) < 2:
        return []
    (x, y), radius = points[0], math.dist(points[0], points[1])
    return _around((x, y), (radius, 0.0), (0.0, radius))


def _ellipse(points: list[Point]) -> list[Point]:
    """Of the ends of its long axis and those of its short one."""
    if len(points) < 4:
        return []
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[:4]
    return _around(((ax + bx) / 2, (ay + by) / 2), ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2))


def _around(center: Point, first: Point, second: Point) -> list[Point]:
    angles = np.linspace(0, 2 * np.pi, 97)
    x = center[0] + first[0] * np.cos(angles) + second[0] * np.sin(angles)
    y = center[1] + first[1] * np.cos(angles) + second[1] * np.sin(angles)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _interpolated(points: list[Point]) -> list[Point]:
    """A smooth curve through all points (Catmull and Rom); closed where it ends in its beginning."""
    if len(points) < 3:
        return points
    known = np.array(points)
    closed = points[0] == points[-1]
    before, behind = (known[-2:-1], known[1:2]) if closed else (known[:1], known[-1:])
    padded = np.concatenate([before, known, behind])
    t = np.linspace(0, 1, _STEPS, endpoint=False)[:, np.newaxis]
    found = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        found.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return [(float(x), float(y)) for x, y in np.concatenate([*found, known[-1:]])]


_SHAPES = {"POINT": _point, "POLYLINE": _polyline, "INTERPOLATED": _interpolated, "CIRCLE": _circle, "ELLIPSE": _ellipse}
