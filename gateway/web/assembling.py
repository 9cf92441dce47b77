"""One instance out of its metadata and the bulk data that it refers to (PS3.18 10.5.1.1.2, PS3.5 A.4). Everything here may block.

1. The transfer syntax is (0002,0010) of the metadata, else what the part with the pixel data says, else what these look like; octets are
   Explicit VR Little Endian. What contradicts that fails the instance.
2. Compressed pixel data is one frame a part, in the order of the parts, each in one fragment behind an empty Basic Offset Table. Native
   pixel data is little endian and stays as it is.
3. What describes the pixels and is missing is derived from the first frame (`pixels.described`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

from gateway.dicom.composing import PIXEL_DATA, Hole, compose, references, uid_of
from gateway.dicom.encoding import NotAValue, decoded
from gateway.dicom.explicit import element_header, padding
from gateway.dicom.filemeta import SYNTAX
from gateway.dicom.header import SOP, SOP_CLASS, Instance
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED, known_syntax
from gateway.dicom.structure import PIXELS, UNDEFINED
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from gateway.pixels import described, syntaxes
from gateway.pixels.described import FAMILIES, HEAD, VIDEO
from gateway.web.bulkparts import BulkPart, Extent, Labels, Spool
from gateway.web.metadataparts import parsed

SHARED = 64 << 20
"""Bytes of parts that a request may use more than once, all together: a colour profile or a palette in each of a thousand instances."""

LONGEST = 0xFFFFFFFE
"""Bytes of a value or a fragment (PS3.5 7.1.1)."""

_PICTURES = ("image/", "video/")
"""Media types that are no octets: what is not a family of `FAMILIES` (image/png) must not pass for native pixels."""

_TABLE = b"\xfe\xff\x00\xe0\0\0\0\0"
_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_FRAMES = 0x00280008

Piece = bytes | Extent


@dataclass(frozen=True, slots=True)
class Assembled:
    """:param pieces: the whole file; bytes, or places of the spool."""

    instance: Instance
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where pixel data come from: parts of the request, or bytes of the metadata.

    :param media: of the parts; empty for bytes of the metadata. :param said: their transfer-syntax.
    :param frames: a place or the bytes of each.
    """

    media: str
    said: str | None
    frames: Sequence[Piece]


class Assembler:
    """The instances of one request, one at a time.

    :param largest: bytes of an instance, ``limits.instance_bytes``. :param alone: whether there is only one.
    """

    def __init__(self, labels: Labels, spool: Spool, largest: int, *, alone: bool) -> None:
        self._labels = labels
        self._spool = spool
        self._largest = largest
        self._alone = alone
        self._shared = SHARED

    def assemble(self, document: bytes) -> Assembled:
        """The file of one instance.

        :param document: its metadata, DICOM JSON.
        :raises InstanceError: `sop` and `sop_class` are set where they can be read.
        """
        dataset = parsed(document)
        sop, sop_class = uid_of(dataset, SOP), uid_of(dataset, SOP_CLASS)
        try:
            return self._assemble(dataset, None if self._alone else sop or "")
        except InstanceError as error:
            error.sop, error.sop_class = sop, sop_class
            raise

    def _assemble(self, dataset: dict[str, Any], within: str | None) -> Assembled:
        for uri in references(dataset):
            for part in self._labels.find(uri, within):
                part.wanted = True
        pixels = self._pixels(dataset, within)
        syntax = self._syntax(_said(dataset), pixels)
        if pixels is not None:
            dataset |= self._described(dataset, syntax, pixels)
        composed = compose(dataset, syntax)
        pieces: list[Piece] = []
        for piece in composed.pieces:
            pieces += [piece] if isinstance(piece, bytes) else self._filled(piece, syntax, pixels, within)
        if sum(map(_size, pieces)) > self._largest:
            raise InstanceError(Reason.OUT_OF_RESOURCES, f"larger than limits.instance_bytes = {self._largest}")
        return Assembled(composed.instance, pieces)

    # -- what the pixels are

    def _pixels(self, dataset: dict[str, Any], within: str | None) -> _Source | None:
        """Where the pixel data of the top level come from, None where there are none."""
        attribute = dataset.get(f"{PIXEL_DATA:08X}")
        if not isinstance(attribute, dict):
            return None
        uri = attribute.get("BulkDataURI")
        if not isinstance(uri, str):
            raw = _inline(attribute)
            return _Source("", None, [raw]) if raw else None
        parts = self._parts(uri, PIXEL_DATA, within)
        if len({(part.media, part.syntax) for part in parts}) > 1:
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "its parts are of several media types", PIXEL_DATA)
        coded = parts[0].media in FAMILIES
        return _Source(parts[0].media, parts[0].syntax, [self._frame(part) if coded else _extent(part) for part in parts])

    def _frame(self, part: BulkPart) -> Extent:
        """The codestream in a part."""
        start, end = described.codestream_in(self._head(_extent(part)), part.length)
        return Extent(part.offset + start, end - start)

    def _head(self, piece: Piece) -> bytes:
        return piece[:HEAD] if isinstance(piece, bytes) else self._read(piece.offset, min(piece.length, HEAD))

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return self._spool.read(offset, length)
        except OSError:
            raise InstanceError(Reason.OUT_OF_RESOURCES, "the bulk data cannot be read again") from None

    def _syntax(self, said: str | None, pixels: _Source | None) -> str:
        """The transfer syntax (rule 1)."""
        if said is not None and (said in DEFLATED - {syntaxes.DEFLATED} or not known_syntax(said)):
            raise InstanceError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, "a transfer syntax in which nothing is written here", SYNTAX)
        if pixels is None:
            return _written(said or syntaxes.EXPLICIT)
        stated = None if pixels.said in (None, "", "*") else pixels.said
        if stated is not None and (stated == BIG_ENDIAN or not known_syntax(stated)):
            raise InstanceError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, "its part has a transfer-syntax that is not read here", PIXEL_DATA)
        if said and stated and _written(said) != _written(stated):
            raise InstanceError(Reason.DOES_NOT_MATCH_SOP_CLASS, "is not the transfer-syntax of the part with the pixel data", SYNTAX)
        head = self._head(pixels.frames[0])
        named = said or stated
        if pixels.media in FAMILIES:
            return _coded(named or described.syntax_of(pixels.media, head), pixels.media, head)
        if named is None or not described.family_of(named):
            return _written(named or syntaxes.EXPLICIT)
        if stated is None and not described.is_codestream(named, head) and not head.startswith(_ITEM):
            raise InstanceError(Reason.DOES_NOT_MATCH_SOP_CLASS, f"is {named}, and the pixel data are plain octets", SYNTAX)
        return named

    def _described(self, dataset: dict[str, Any], syntax: str, pixels: _Source) -> described.Attributes:
        head = self._head(pixels.frames[0]) if described.family_of(syntax) and syntax not in VIDEO else None
        if head is not None and head.startswith(_ITEM):
            return {}
        frames = 0 if syntax in VIDEO else len(pixels.frames)
        if frames and syntax not in syntaxes.NATIVE:
            _check_count(dataset, frames)
        return described.described(dataset, syntax, head, frames)

    # -- holes

    def _filled(self, hole: Hole, syntax: str, pixels: _Source | None, within: str | None) -> list[Piece]:
        """Header and value of an element that the metadata leave open."""
        frames: Sequence[Piece]
        if hole.uri is None:
            frames, coded = [hole.raw] if hole.raw else [], syntax not in syntaxes.NATIVE
        elif hole.tag == PIXEL_DATA and hole.depth == 0 and pixels is not None:
            frames, coded = pixels.frames, syntax not in syntaxes.NATIVE
        else:
            parts = self._parts(hole.uri, hole.tag, within)
            coded = hole.tag in PIXELS and any(part.media in FAMILIES or _encapsulated(part.syntax) for part in parts)
            frames = [self._frame(part) if coded else _extent(part) for part in parts]
            if len(frames) > 1 and not coded:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "several parts have its Content-Location", hole.tag)
        self._check_shared(hole, within)
        if coded:
            return self._fragments(hole.tag, frames)
        length = sum(map(_size, frames))
        fill = padding(hole.vr, length)
        if length + len(fill) > LONGEST:
            raise InstanceError(Reason.OUT_OF_RESOURCES, f"a value of {length} bytes is longer than DICOM has a length for", hole.tag)
        return [element_header(hole.tag, hole.vr, length + len(fill)), *_not_empty(frames), *([fill] if fill else [])]

    def _fragments(self, tag: int, frames: Sequence[Piece]) -> list[Piece]:
        """Encapsulated pixel data (PS3.5 A.4); a value that is encapsulated already stays as it is."""
        pieces: list[Piece] = [element_header(tag, "OB", UNDEFINED)]
        if len(frames) == 1 and self._head(frames[0]).startswith(_ITEM):
            ended = self._tail(frames[0]) == _END
            return [*pieces, frames[0], *([] if ended else [_END])]
        pieces.append(_TABLE)
        for frame in frames:
            length = _size(frame)
            if length > LONGEST:
                raise InstanceError(Reason.OUT_OF_RESOURCES, f"a frame of {length} bytes is longer than a fragment can be", tag)
            pieces += [_ITEM + pack("<L", length + length % 2), *_not_empty([frame]), *([b"\0"] if length % 2 else [])]
        return [*pieces, _END]

    def _tail(self, piece: Piece) -> bytes:
        if isinstance(piece, bytes):
            return piece[-len(_END) :]
        count = min(piece.length, len(_END))
        return self._read(piece.offset + piece.length - count, count)

    # -- parts

    def _parts(self, uri: str, tag: int, within: str | None) -> list[BulkPart]:
        parts = self._labels.find(uri, within)
        if not parts:
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "no part of the request has its BulkDataURI as Content-Location", tag)
        for part in parts:
            if part.fault is not None:
                raise InstanceError(part.fault[0], part.fault[1], tag)
            if tag in PIXELS and part.media.startswith(_PICTURES) and part.media not in FAMILIES:
                raise InstanceError(Reason.CANNOT_UNDERSTAND, "its part is of a media type that pixel data cannot have", tag)
        return parts

    def _check_shared(self, hole: Hole, within: str | None) -> None:
        """:raises InstanceError: when more bytes are used again than `SHARED`."""
        for part in self._labels.find(hole.uri, within) if hole.uri else ():
            if part.used:
                self._shared -= part.length
            part.used = True
        if self._shared < 0:
            raise InstanceError(Reason.OUT_OF_RESOURCES, f"parts of more than {SHARED} bytes are used again in one request", hole.tag)


def _inline(attribute: dict[str, Any]) -> bytes:
    """Pixel data in the metadata; what cannot be read is refused when it is written."""
    try:
        return decoded(attribute.get("InlineBinary", ""))
    except NotAValue:
        return b""


def _said(dataset: dict[str, Any]) -> str | None:
    """Transfer Syntax UID of the metadata, None where there is none.

    :raises InstanceError: when it is no UID.
    """
    attribute = dataset.get(f"{SYNTAX:08X}")
    if not isinstance(attribute, dict) or not attribute.get("Value"):
        return None
    found = uid_of(dataset, SYNTAX)
    if found is None:
        raise InstanceError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, "Transfer Syntax UID is not a UID (PS3.5 9.1)", SYNTAX)
    return found


def _written(syntax: str) -> str:
    """What a native data set is written in."""
    return syntaxes.EXPLICIT if syntax in syntaxes.NATIVE else syntax


def _encapsulated(syntax: str | None) -> bool:
    return syntax not in (None, "", "*") and syntax not in syntaxes.NATIVE


def _coded(syntax: str | None, media: str, head: bytes) -> str:
    """The transfer syntax of codestreams.

    :raises InstanceError: when it is none of those, or they are not what it says.
    """
    if syntax is None:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, f"is missing, and the pixel data are no {media} that can be read", SYNTAX)
    if syntax not in FAMILIES[media]:
        raise InstanceError(Reason.DOES_NOT_MATCH_SOP_CLASS, f"is {syntax}, and the pixel data are {media}", SYNTAX)
    if not described.holds(syntax, head):
        raise InstanceError(Reason.DOES_NOT_MATCH_SOP_CLASS, f"the first frame is not of transfer syntax {syntax}", PIXEL_DATA)
    return syntax


def _check_count(dataset: dict[str, Any], frames: int) -> None:
    attribute = dataset.get(f"{_FRAMES:08X}")
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    if isinstance(values, list) and values and str(values[0]).strip() != str(frames):
        raise InstanceError(Reason.DOES_NOT_MATCH_SOP_CLASS, f"Number of Frames is not {frames}, the number of parts with frames", _FRAMES)


def _extent(part: BulkPart) -> Extent:
    return Extent(part.offset, part.length)


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _not_empty(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if _size(piece)]
