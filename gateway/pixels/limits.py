"""How much one caller may have made of pixels."""

from __future__ import annotations

from dataclasses import dataclass

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """Bounds that codestream headers and requests are held against before anything is decoded or drawn; settings of `[pixels]`.

    :param frame_bytes: one decoded frame. A pixel process works with about three times as much.
    :param picture_pixels: one rendered picture, rows x columns.
    :param cine_frames: frames of one animated picture.
    :param area_bytes: disk for whole instances that come from an origin.
    """

    frame_bytes: int = 512 * MIB
    picture_pixels: int = 64 * MIB
    cine_frames: int = 200
    area_bytes: int = GIB
