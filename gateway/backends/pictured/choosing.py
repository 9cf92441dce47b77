"""What kind of thing an instance is when it is to be shown, and the form in which a caller gets it (PS3.18 8.7.4, 10.4.1.1.3).

    image         a picture; several frames are a cine, too                 image/jpeg image/png image/gif
    segmentation  frames that say where something is                        likewise
    slide         tiles of one large picture                                likewise
    presentation  how another instance is to be shown                       likewise, of that instance
    waveform      curves                                                    likewise, drawn
    video         a bitstream, which goes out as it is                      video/mp4 video/mpeg, as it is stored
    document      a file in an envelope                                     its own type
    nothing       structured reports, plans, key objects and the like       406

A single picture may be asked for by itself, or as the only part of a multipart body; several frames, a series and a study are
multipart. A media type of the Accept that is drawn must not carry a transfer syntax (PS3.18 8.7.4): 400.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from gateway.dicomweb.media import Accept, Offer, Range, choose
from gateway.errors import BadRequest, NotAcceptable
from gateway.pixels.image import Image, Json, text

JPEG, PNG, GIF = "image/jpeg", "image/png", "image/gif"
PICTURES = (JPEG, PNG, GIF)
"""In the order in which they are given to a caller who does not mind. A GIF has 256 colours, so nobody gets one unasked."""

PDF = "application/pdf"
VIDEOS = ("video/mp4", "video/mpeg", "video/mp2t", "video/h264", "video/h265")
DOCUMENTS = frozenset({PDF, "text/xml", "model/stl", "model/obj", "model/mtl", "model/gltf+json", "model/gltf-binary"})
"""Types of encapsulated documents that are named as such. All else goes out as octets: no browser runs those (PS3.3 C.24.2)."""
OCTETS = "application/octet-stream"

VIDEO_SYNTAXES = frozenset(f"1.2.840.10008.1.2.4.{number}{part}" for number in range(100, 109) for part in ("", ".1"))
"""MPEG-2, H.264 and HEVC, whole or in fragments (PS3.5 10.7 to 10.13)."""

_PRESENTATIONS = frozenset(f"1.2.840.10008.5.1.4.1.1.11.{number}" for number in (1, 2, 3, 5))
"""Softcopy presentation states: greyscale, colour, pseudo-colour, and greyscale of XA and XRF."""


class Kind(Enum):
    """See the head of this file."""

    IMAGE = "image"
    SEGMENTATION = "segmentation"
    SLIDE = "slide"
    PRESENTATION = "presentation"
    WAVEFORM = "waveform"
    VIDEO = "video"
    DOCUMENT = "document"
    NOTHING = "nothing"


def kind_of(data: Json, image: Image | None) -> Kind:
    """What an instance is.

    :param data: its header. :param image: its pixels, None where it has none.
    """
    if "00420011" in data:
        return Kind.DOCUMENT
    if "54000100" in data:
        return Kind.WAVEFORM
    if text(data, "00080016") in _PRESENTATIONS:
        return Kind.PRESENTATION
    if image is None:
        return Kind.NOTHING
    if image.syntax in VIDEO_SYNTAXES:
        return Kind.VIDEO
    if "00620002" in data:
        return Kind.SEGMENTATION
    return Kind.SLIDE if "00480006" in data and "00480007" in data and image.frames > 1 else Kind.IMAGE


def offered(alone: Sequence[str], media: Sequence[str]) -> list[Offer]:
    """What can be had, the best first. :param alone: what the whole body may be. :param media: what its parts may be."""
    return [Offer(one) for one in alone] + [Offer(one, multipart=True) for one in media]


def chosen(accept: Accept, offers: Sequence[Offer], subject: str) -> Offer:
    """The form that suits the caller best.

    :param subject: for the refusal: what was asked for, ``the video`` for example.
    :raises BadRequest: for a transfer syntax in a type that is drawn. :raises NotAcceptable: naming what could be had.
    """
    _check(accept.ranges)
    offer = choose(Accept(accept.ranges), offers)
    if offer is None and accept.fallback:
        _check(accept.fallback)
        offer = choose(Accept(accept.fallback), offers)
    if offer is None:
        raise NotAcceptable(f"{subject} can be had as {_names(offers)}, and none of it was asked for (PS3.18 8.7.4)")
    return offer


def _check(ranges: Sequence[Range]) -> None:
    if any(one.transfer_syntax is not None and one.wanted.startswith(("image/", "video/", "text/")) for one in ranges):
        raise BadRequest("what is rendered has no transfer syntax: leave transfer-syntax out of the Accept (PS3.18 8.7.4)")


def _names(offers: Sequence[Offer]) -> str:
    names = [f'multipart/related; type="{one.media_type}"' if one.multipart else one.media_type for one in offers]
    return ", ".join(names) or "nothing"
