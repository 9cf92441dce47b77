"""Text burned into a picture, in its corners (PS3.18 8.3.5.1.1).

``patient``: who, above on the left; when and what was examined, above on the right. ``technique``: how, below on the left; which
picture, below on the right. White with a black outline, so that it can be read on anything. This is the one place where values of a
patient become visible; they go nowhere else.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from gateway.dicomweb.rendering import Rendering
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.writing import Pixels

_SMALLEST, _LARGEST = 9, 48
_LINES = 36
"""Lines of text that the shorter side of a picture would hold."""
_MISSING = "\U0010fffd"

UNKNOWN = "?"
_WITHOUT_ACCENT = dict(zip("ßẞæÆœŒøØłŁđĐðÐþÞħĦıŋŊŧŦ", "ss SS ae AE oe OE o O l L d D d D th Th h H i n N t T".split(), strict=True))
"""Letters of Europe that Unicode does not take apart."""


def burned(pixels: Pixels, data: Attributes, rendering: Rendering, *, number: int = 1) -> Pixels:
    """A picture with the annotations that were asked for; the same one when none were.

    :param number: of the frame, from 1.
    """
    if not rendering.annotation:
        return pixels
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    size = min(max(min(picture.size) // _LINES, _SMALLEST), _LARGEST)
    for place, lines in corners(data, rendering, number).items():
        _write(picture, place, [line for line in map(drawable, lines) if line.strip()], size)
    return np.asarray(picture)


def corners(data: Attributes, rendering: Rendering, number: int) -> dict[tuple[bool, bool], list[str]]:
    """What is written, by whether it is on the right and whether it is below."""
    found: dict[tuple[bool, bool], list[str]] = {}
    if "patient" in rendering.annotation:
        found[False, False] = _patient(data)
        found[True, False] = _study(data)
    if "technique" in rendering.annotation:
        found[False, True] = _technique(data, number)
        found[True, True] = _series(data, number)
    return found


def drawable(line: str) -> str:
    """A line in letters that the font has: others without their accents, or as a question mark, so that no name looks like another."""
    return "".join(map(_letter, line))


def name(data: Attributes, tag: str) -> str:
    """A person's name for people, from the first of its three forms that the font can write most of."""
    value = next(iter(data.values(tag)), None)
    forms = [value.get(form, "") for form in ("Alphabetic", "Ideographic", "Phonetic")] if isinstance(value, dict) else [value]
    known = [_spoken(form) for form in forms if isinstance(form, str) and form.strip("^= ")]
    return next((form for form in known if 2 * drawable(form).count(UNKNOWN) < len(form)), "")


def _patient(data: Attributes) -> list[str]:
    return [name(data, "00100010"), data.text("00100020"), _joined(_date(data, "00100030"), data.text("00100040"), data.text("00101010"))]


def _study(data: Attributes) -> list[str]:
    when = _joined(_date(data, "00080020"), _time(data, "00080030"))
    return [data.text("00080080"), when, data.text("00081030"), data.text("00080050")]


def _technique(data: Attributes, number: int) -> list[str]:
    measures = data.group("00289110", number)
    thickness = data.decimal("00180050") or (measures.decimal("00180050") if measures else None)
    exposure = _joined(_measure(data, "00180060", "kV"), _measure(data, "00181151", "mA"), _measure(data, "00181152", "mAs"))
    times = _joined(_measure(data, "00180080", "ms", "TR "), _measure(data, "00180081", "ms", "TE "))
    slice_ = "" if thickness is None else f"{thickness:g} mm"
    return [_joined(data.text("00080060"), data.text("00180015"), data.text("00185101")), exposure, times, slice_]


def _series(data: Attributes, number: int) -> list[str]:
    frames = data.number("00280008") or 1
    which = _joined(_numbered(data, "00200011", "Se"), _numbered(data, "00200013", "Im"), f"Fr {number}/{frames}" if frames > 1 else "")
    return [data.text("0008103E") or data.text("00181030"), which]


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def _spoken(form: str) -> str:
    family, *rest = (part.strip() for part in form.split("^"))
    return ", ".join(filter(None, (family, " ".join(filter(None, rest)))))


def _date(data: Attributes, tag: str) -> str:
    value = data.text(tag)
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdigit() else value


def _time(data: Attributes, tag: str) -> str:
    value = data.text(tag)
    return f"{value[:2]}:{value[2:4]}" if value[:4].isdigit() and len(value) >= 4 else value


def _measure(data: Attributes, tag: str, unit: str, before: str = "") -> str:
    value = data.decimal(tag)
    return "" if value is None else f"{before}{value:g} {unit}"


def _numbered(data: Attributes, tag: str, before: str) -> str:
    value = data.number(tag)
    return "" if value is None else f"{before} {value}"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@cache
def _letter(letter: str) -> str:
    """A letter, its base letters, or `UNKNOWN`; nothing for what is no letter."""
    if letter == " " or _is_there(letter):
        return letter
    if not letter.isprintable():
        return ""
    plain = _WITHOUT_ACCENT.get(letter) or unicodedata.normalize("NFKD", letter)
    return "".join(part if _is_there(part) else UNKNOWN for part in plain if not unicodedata.combining(part))


def _is_there(letter: str) -> bool:
    return letter.isprintable() and _shape(letter) != _shape(_MISSING)


@cache
def _shape(letter: str) -> tuple[Any, bytes]:
    mask = _font(16).getmask(letter)
    return mask.size, bytes(mask)


def _write(picture: Pillow.Image, place: tuple[bool, bool], lines: list[str], size: int) -> None:
    right, below = place
    draw, font, margin, height = ImageDraw.Draw(picture), _font(size), size // 2, round(size * 1.25)
    widest = picture.width // 2 - margin
    top = picture.height - margin - height * len(lines) if below else margin
    for row, line in enumerate(_cut(lines, widest, font.getlength)):
        left = picture.width - margin - font.getlength(line) if right else margin
        outline = max(size // 12, 1)
        draw.text((left, top + row * height), line, fill="white", font=font, stroke_width=outline, stroke_fill="black")


def _cut(lines: Iterable[str], widest: float, length: Callable[[str], float]) -> Iterable[str]:
    """Lines no wider than half of the picture."""
    for line in lines:
        shown = line
        while len(shown) > 1 and length(shown) > widest:
            shown = shown[:-2].rstrip() + "…" if shown.endswith("…") else shown[:-1].rstrip() + "…"
        yield shown
