"""Colour profiles: whether a picture carries one, and which (PS3.18 8.3.5.1.5).

``no``: none. ``yes``: that of the data set, else the one that colour without any is taken for, sRGB. Other values: colours are
converted to that space, and its profile goes with them. Nothing said: that of the data set if it has one. Grey has no colour to
convert: its values stay, and a profile says with which curve they are meant.
"""

from __future__ import annotations

import io
from functools import cache

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from gateway.dicomweb.rendering import ColourSpace
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.writing import Pixels

_PROFILE, _OPTICAL_PATHS = "00282000", "00480105"

_D65, _D50 = (0.3127, 0.3290, 1.0), (0.3457, 0.3585, 1.0)
_P3 = (0.680, 0.320, 1.0, 0.265, 0.690, 1.0, 0.150, 0.060, 1.0)
_ROMM = (0.734699, 0.265301, 1.0, 0.159597, 0.840403, 1.0, 0.036598, 0.000105, 1.0)

LARGEST = 4 << 20
"""Bytes of a profile that goes with a picture; printers have larger ones, cameras and scanners do not."""


def profiled(pixels: Pixels, data: Attributes, asked: ColourSpace | None) -> tuple[Pixels, bytes | None]:
    """A picture, and the colour profile that goes with it."""
    if asked == "no":
        return pixels, None
    if pixels.ndim == 2:
        return pixels, None if asked is None else grey_profile(_SRGB if asked == "yes" else asked)
    own = _own(data)
    if asked is None or asked == "yes":
        return pixels, own or (profile(_SRGB) if asked else None)
    return _converted(pixels, own or profile(_SRGB), profile(asked)), profile(asked)


_SRGB: ColourSpace = "srgb"


@cache
def profile(space: ColourSpace) -> bytes:
    """The profile of a colour space: sRGB (IEC 61966-2-1), Adobe RGB (1998), ROMM RGB (ISO 22028-2) or Display P3."""
    if space == "displayp3":
        return bytes(imagecodecs.cms_profile("rgb", whitepoint=_D65, primaries=_P3, transferfunction=_srgb_curve()))
    if space == "rommrgb":
        return bytes(imagecodecs.cms_profile("rgb", whitepoint=_D50, primaries=_ROMM, gamma=1.8))
    return bytes(imagecodecs.cms_profile("adobergb" if space == "adobergb" else "srgb"))


@cache
def grey_profile(space: ColourSpace) -> bytes:
    """A profile for grey values with the curve of a colour space."""
    if space in ("srgb", "displayp3"):
        return bytes(imagecodecs.cms_profile("gray", whitepoint=_D65, transferfunction=_srgb_curve()))
    return bytes(imagecodecs.cms_profile("gray", whitepoint=_D65, gamma=1.8 if space == "rommrgb" else 2.2))


def _srgb_curve() -> NDArray[np.uint16]:
    shares = np.linspace(0.0, 1.0, 256)
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    curve: NDArray[np.uint16] = np.rint(light * 65535).astype(np.uint16)
    return curve


def _own(data: Attributes) -> bytes | None:
    """The profile of the data set, or of its first optical path (PS3.3 C.11.15, C.8.12.5), if it is one for red, green and blue."""
    path = data.item(_OPTICAL_PATHS)
    found = data.octets(_PROFILE) or (path.octets(_PROFILE) if path else None)
    if not found or len(found) > LARGEST:
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(found)).profile
    except (OSError, ImageCms.PyCMSError):
        return None
    return found if opened.xcolor_space.strip() == "RGB" else None


def _converted(pixels: Pixels, source: bytes, target: bytes) -> Pixels:
    if source == target:
        return pixels
    try:
        transform = ImageCms.buildTransform(io.BytesIO(source), io.BytesIO(target), "RGB", "RGB")
        converted = ImageCms.applyTransform(Pillow.fromarray(pixels), transform)
    except ImageCms.PyCMSError:
        return pixels
    return pixels if converted is None else np.asarray(converted)
