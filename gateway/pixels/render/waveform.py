"""Curves drawn as on paper (PS3.3 C.10.9, Waveform Module): electrocardiograms, pressures, respiration, sound.

1. A value is ``sample x Channel Sensitivity x Correction Factor + Channel Baseline`` in the unit that the channel names. No filter is
   applied, whatever the channel says of filters; what is Waveform Padding Value leaves a gap.
2. Time runs at 25 mm a second. Voltages stand at 10 mm a millivolt with a pulse of 1 mV before them, and each curve lies with its
   median on its line; other units get a scale of 1, 2 or 5 times a power of ten that fits, which is written beside them.
3. Each channel has a line of its own, `LINE` mm high. Channels of a short group stand beside each other.
4. At most `SECONDS` of a group and `CHANNELS` of an instance are drawn, and the picture says so.
5. Between two columns of the picture a curve is drawn from its lowest to its highest sample, so that no spike is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from gateway.pixels.render.annotations import drawable
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.work import Undoable

SECONDS = 10.0
"""Of a group that are drawn: a sheet of paper. A Holter recording has a hundred thousand."""
CHANNELS = 64
"""Of an instance that are drawn; an electroencephalogram has some 30."""
SCALE = 4
"""Pixels a millimetre: the grid's lines stay apart."""
LINE = 25
"""Millimetres between the lines of two channels: a QRS complex of 2.5 mV just fits."""
MARGIN = 14
"""Millimetres left of a curve: label, and pulse."""
SPEED = 25
"""Millimetres a second."""
GAIN = 10
"""Millimetres a millivolt."""

_PAPER, _FINE, _COARSE, _INK = (255, 255, 255), (255, 224, 224), (250, 178, 178), (16, 16, 24)
_SAMPLES = {(8, "SB"): "i1", (8, "UB"): "u1", (8, "MB"): "u1", (8, "AB"): "u1", (16, "SS"): "<i2", (16, "US"): "<u2"}
_SAMPLES |= {(32, "SL"): "<i4", (32, "UL"): "<u4", (64, "SV"): "<i8", (64, "UV"): "<u8"}
_MILLIVOLT = {"uV": 1e-3, "mV": 1.0, "V": 1e3, "nV": 1e-6, "microvolt": 1e-3, "millivolt": 1.0}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Channel:
    """A curve.

    :param values: in `unit`, NaN where there is none. :param rate: samples a second.
    """

    label: str
    unit: str
    values: Floats
    rate: float


@dataclass(frozen=True, slots=True)
class Group:
    """:param cut: whether there is more of it than is drawn."""

    label: str
    channels: Sequence[Channel]
    cut: bool

    @property
    def seconds(self) -> float:
        """Of the longest channel."""
        return max((len(one.values) / one.rate for one in self.channels), default=0.0)


# -- reading


def groups_of(data: Attributes) -> list[Group]:
    """The multiplex groups of an instance.

    :raises Undoable: when there is nothing that can be drawn.
    """
    found: list[Group] = []
    left = CHANNELS
    for one in data.items("54000100"):
        read = _group(one, left)
        if read is not None:
            found.append(read)
            left -= len(read.channels)
        if left <= 0:
            break
    if not found:
        raise Undoable("the waveforms hold no samples of a kind that can be drawn")
    return found


def _group(data: Attributes, most: int) -> Group | None:
    channels, rate, stored = data.number("003A0005") or 0, data.decimal("003A001A") or 0, data.octets("54001010")
    interpretation = data.text("54001006") or "SS"
    kind = _SAMPLES.get((data.number("54001004") or 16, interpretation))
    if kind is None or channels < 1 or rate <= 0 or not stored:
        return None
    cells = np.frombuffer(stored, kind, len(stored) // np.dtype(kind).itemsize)
    count = min(len(cells) // channels, data.number("003A0010") or len(cells))
    drawn = min(count, math.ceil(SECONDS * rate))
    if drawn < 2:
        return None
    table = cells[: drawn * channels].reshape(drawn, channels)
    definitions = data.items("003A0200")
    padding = _padding(data.octets("5400100A"), kind)
    some = [
        _channel(
            definitions[place] if place < len(definitions) else _UNKNOWN, place, _linear(table[:, place], interpretation, padding), rate
        )
        for place in range(min(channels, most))
    ]
    return Group(data.text("003A0020"), some, drawn < count or channels > most)


_UNKNOWN = Attributes({})


def _padding(octets: bytes | None, kind: str) -> int | None:
    """Waveform Padding Value: a sample that stands for none."""
    size = np.dtype(kind).itemsize
    return int(np.frombuffer(octets, kind, 1)[0]) if octets and len(octets) >= size else None


def _channel(data: Attributes, place: int, samples: Floats, rate: float) -> Channel:
    sensitivity, correction = data.decimal("003A0210"), data.decimal("003A0212")
    units = data.item("003A0211")
    unit = units.text("00080100") if units is not None and sensitivity is not None else ""
    real = samples * (1.0 if sensitivity is None else sensitivity) * (1.0 if correction is None else correction)
    real += data.decimal("003A0213") or 0.0
    if unit in _MILLIVOLT:
        real, unit = real * _MILLIVOLT[unit], "mV"
    source = data.item("003A0208")
    label = data.text("003A0203") or (source.text("00080104") if source is not None else "") or f"channel {place + 1}"
    return Channel(_short(label), unit, real, rate)


def _short(label: str) -> str:
    return drawable(label.removeprefix("Lead ").removesuffix(" (Einthoven)")[:16])


def _linear(cells: NDArray[np.generic], kind: str, padding: int | None) -> Floats:
    """Samples as numbers, NaN where there is none; those of sound are companded (ITU-T G.711)."""
    samples = _expanded(cells.astype(np.uint8), kind) if kind in ("MB", "AB") else cells.astype(np.float64)
    if padding is not None:
        samples[cells == padding] = np.nan
    return samples


def _expanded(codes: NDArray[np.uint8], kind: str) -> Floats:
    codes = codes ^ np.uint8(0xFF if kind == "MB" else 0x55)
    exponent, mantissa = ((codes >> 4) & 7).astype(np.float64), (codes & 0x0F).astype(np.float64) * 2
    if kind == "MB":
        magnitude = (mantissa + 33) * 2.0**exponent - 33
        return np.where(codes & 0x80, -magnitude, magnitude)
    magnitude = np.where(exponent == 0, mantissa + 1, (mantissa + 33) * 2.0 ** (exponent - 1))
    return np.where(codes & 0x80, magnitude, -magnitude)


# -- drawing


def trace(groups: Sequence[Group]) -> NDArray[np.uint8]:
    """The picture: (rows, columns, 3)."""
    sheets = [_Sheet(group) for group in groups]
    width = max(sheet.width for sheet in sheets)
    height = sum(sheet.height for sheet in sheets)
    picture = Picture.new("RGB", (width * SCALE, height * SCALE), _PAPER)
    draw = ImageDraw.Draw(picture)
    _grid(draw, width, height)
    top = 0
    for sheet in sheets:
        sheet.draw(draw, top)
        top += sheet.height
    return np.asarray(picture)


def _grid(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    for coarse, colour in ((False, _FINE), (True, _COARSE)):
        for at in range(0, width + 1, 5 if coarse else 1):
            draw.line([(at * SCALE, 0), (at * SCALE, height * SCALE)], colour)
        for at in range(0, height + 1, 5 if coarse else 1):
            draw.line([(0, at * SCALE), (width * SCALE, at * SCALE)], colour)


_HEAD = 10
"""Millimetres above the first line of a group, for what is said of it."""


class _Sheet:
    """Where the channels of a group go, in millimetres."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._length = max(math.ceil(group.seconds * SPEED), 1)
        self._across = max(1, min(len(group.channels), int((SECONDS * SPEED + MARGIN) // (self._length + MARGIN))))
        down = -(-len(group.channels) // self._across)
        self.width = max((self._length + MARGIN) * self._across + 5, 100)
        self.height = _HEAD + down * LINE + 5

    def draw(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        draw.text((2 * SCALE, (top + 2) * SCALE), self._said(), _INK, _font(14))
        for place, channel in enumerate(self._group.channels):
            left = (place % self._across) * (self._length + MARGIN)
            middle = top + _HEAD + LINE // 2 + (place // self._across) * LINE
            _Curve(channel).draw(draw, left, middle)

    def _said(self) -> str:
        rates = {one.rate for one in self._group.channels}
        voltage = any(one.unit == "mV" for one in self._group.channels)
        speed, gain = f"{SPEED} mm/s", f"{GAIN} mm/mV" if voltage else ""
        said = [drawable(self._group.label[:32]), speed, gain, f"{rates.pop():g} samples/s", "not filtered"]
        said.append(f"the first {self._group.seconds:g} s or {CHANNELS} channels" if self._group.cut else "")
        return "   ".join(one for one in said if one)


class _Curve:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        known = channel.values[np.isfinite(channel.values)]
        self._middle = float(np.median(known)) if len(known) else 0.0
        spread = float(np.abs(known - self._middle).max()) if len(known) else 0.0
        self._gain = float(GAIN) if channel.unit == "mV" else _nice(LINE / 2 / spread if spread > 0 else 1.0)

    def draw(self, draw: ImageDraw.ImageDraw, left: int, middle: int) -> None:
        label = self._channel.label
        if self._channel.unit == "mV":
            self._pulse(draw, left + MARGIN - 7, middle)
        else:
            label += f"\n{GAIN / self._gain:g} {drawable(self._channel.unit[:12]) or 'steps'}/cm"
        draw.text(((left + 1) * SCALE, (middle - LINE // 2) * SCALE), label, _INK, _font(13))
        for points in self._points((left + MARGIN) * SCALE, middle * SCALE):
            draw.line(points, _INK, 2 if len(points) > 1 else 1)

    @staticmethod
    def _pulse(draw: ImageDraw.ImageDraw, left: int, middle: int) -> None:
        shape = [(0, 0), (1, 0), (1, -GAIN), (5, -GAIN), (5, 0), (6, 0)]
        draw.line([((left + x) * SCALE, (middle + y) * SCALE) for x, y in shape], _INK, 1)

    def _points(self, left: float, middle: float) -> list[list[tuple[float, float]]]:
        """The runs of samples between gaps as lines of the picture."""
        wide, values = SPEED * SCALE / self._channel.rate, self._channel.values
        heights = np.clip(middle - (values - self._middle) * self._gain * SCALE, -1e5, 1e5)
        known = np.flatnonzero(np.isfinite(values))
        runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
        return [_line(left + run * wide, heights[run]) for run in runs if len(run)]


def _line(x: NDArray[Any], y: NDArray[Any]) -> list[tuple[float, float]]:
    """Rule 5: of each column the first, lowest and highest sample."""
    columns = np.floor(x)
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    if len(starts) * 3 >= len(x):
        return list(zip(x.tolist(), y.tolist(), strict=True))
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    some = np.stack([y[starts], low, high], axis=1).ravel()
    return list(zip(np.repeat(columns[starts], 3).tolist(), some.tolist(), strict=True))


def _nice(most: float) -> float:
    """The largest gain of which `GAIN` mm are 1, 2 or 5 times a power of ten, and which is not above `most`."""
    least = GAIN / most
    power = 10.0 ** math.floor(math.log10(least))
    return GAIN / next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
