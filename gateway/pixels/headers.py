"""The data set around pixel data, for pixels in another transfer syntax (PS3.3 C.7.6.3, C.7.6.1.1.5, PS3.5 A).

What changes: the Image Pixel Module where the pixels differ, the history of lossy compression, the offset tables and pictures inside
sequences that are compressed (`icons`). Everything else stays byte for byte, whatever its writer made of it, as long as the old
data set is Explicit VR Little Endian; all others are written anew by `dicom.native`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from struct import pack
from typing import Literal

from gateway.dicom.elements import Limits, Walk
from gateway.dicom.filemeta import file_meta
from gateway.dicom.native import SOP_CLASS, SOP_INSTANCE, Transcoder, meta_end
from gateway.dicom.part10 import DEFLATED, EXPLICIT
from gateway.pixels import syntaxes
from gateway.pixels.editing import Editor
from gateway.pixels.image import Image, Json
from gateway.pixels.work import Undoable

PIXEL_DATA = 0x7FE00010
LOSSY, RATIO, METHOD = 0x00282110, 0x00282112, 0x00282114
TABLES = (0x7FE00000, 0x7FE00001, 0x7FE00002, 0x7FE00003)
"""Length of the group, Extended Offset Table, its lengths, and the length of all fragments: nothing of it holds for other pixels."""

LARGEST = 256 << 20
"""Bytes of a data set without its pixel data. Those of multi-frames have some megabytes; this is for waveforms beside pictures."""

NUMBERS = {
    "samples": 0x00280002,
    "planar": 0x00280006,
    "allocated": 0x00280100,
    "stored": 0x00280101,
    "high": 0x00280102,
    "signed": 0x00280103,
}
"""Fields of an `Image` and their attributes, US each."""

PHOTOMETRIC, FRAMES, ROWS, COLUMNS = 0x00280004, 0x00280008, 0x00280010, 0x00280011
IMAGE_TAGS = frozenset({*NUMBERS.values(), PHOTOMETRIC, FRAMES, ROWS, COLUMNS})
"""What a walk must want for `image_of`."""

METHODS = {
    syntaxes.JPEG_BASELINE: b"ISO_10918_1",
    syntaxes.JPEG_LS_NEAR: b"ISO_14495_1",
    syntaxes.J2K: b"ISO_15444_1",
    syntaxes.HTJ2K: b"ISO_15444_15",
}
"""Lossy Image Compression Method of what is encoded here (PS3.3 C.7.6.1.1.5.1)."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What a preamble begins with that is the header of a TIFF file: the places it names are of the old file (PS3.10 7.1)."""


@dataclass(frozen=True, slots=True)
class Header:
    """A data set without its pixel data.

    :param data: a file in Explicit VR Little Endian. :param walk: recorded and finished, over it.
    :param place: where in it the pixel data belongs, None for its place among the tags.
    """

    data: bytes
    walk: Walk
    place: int | None


def header_of(read: Callable[[int, int], bytes], walk: Walk, end: int, limits: Limits) -> Header:
    """The data set of a file.

    :param read: bytes of the file by offset and length, those of a deflated data set inflated.
    :param walk: over it, finished. :param end: where the data set ends.
    :raises Undoable: when it is too large. :raises InstanceError: when it cannot be written in Explicit VR.
    """
    pixels = walk.pixels
    first, behind = (end, end) if pixels is None else (pixels.header, pixels.end)
    if first + end - behind > LARGEST:
        raise Undoable(f"what is beside the pixel data has more than {LARGEST >> 20} MiB")
    data = read(0, first) + read(behind, end - behind)
    place: int | None = first
    if walk.syntax in DEFLATED:  # the data set was inflated before, and says so from now on
        start, beginning = meta_end(walk.events), _beginning(data, walk, EXPLICIT)
        data, place = beginning + data[start:], first + len(beginning) - start
    if walk.implicit or not walk.little_endian:
        transcoder = Transcoder(limits=limits)
        data, place = b"".join([*transcoder.feed(data), *transcoder.finish()]), None
    return Header(data, _walked(data, limits), place)


def _walked(data: bytes, limits: Limits) -> Walk:
    walk = Walk(record=True, wanted=IMAGE_TAGS | {SOP_CLASS, SOP_INSTANCE}, limits=limits)
    walk.feed(data)
    walk.finish()
    return walk


def image_of(walk: Walk) -> Image | None:
    """The pixels that a data set describes, None where it has none.

    :param walk: finished; it wanted `IMAGE_TAGS`.
    """
    if walk.pixels is None:
        return None
    return image_from(walk.values, walk.syntax, "little" if walk.little_endian else "big", walk.pixels.tag)


def image_from(
    values: Mapping[int, tuple[str, bytes]], syntax: str, order: Literal["little", "big"] = "little", pixels: int = PIXEL_DATA
) -> Image | None:
    """The pixels that raw values describe, None where they have no rows or columns.

    :param values: VR and value of attributes, as a walk keeps them. :param pixels: the tag of the pixel data.
    """
    found: dict[str, Json] = {f"{pixels:08X}": {}}
    for tag in IMAGE_TAGS & values.keys():
        vr, raw = values[tag]
        written = tag in (PHOTOMETRIC, FRAMES) or vr == "IS"
        value = raw.decode("ascii", "replace").partition("\\")[0].strip("\0 ") if written else int.from_bytes(raw[:2], order)
        found[f"{tag:08X}"] = {"Value": [value] if raw else []}
    return Image.of(found, syntax)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the pixels.

    :param before: as the data set has them, None where it has none. :param after: in the new transfer syntax.
    :param ratio: how many bytes one byte of a lossy encoding stands for; None where nothing is lost now.
    """

    before: Image | None
    after: Image | None
    syntax: str
    ratio: float | None = None


def rewritten(header: Header, change: Change, edit: Callable[[Editor], None] = lambda _: None) -> tuple[bytes, bytes]:
    """The new file up to the element of the pixel data, and what comes after that.

    :param edit: makes further changes.
    """
    data, walk = header.data, header.walk
    start = meta_end(walk.events)
    editor = Editor(data, walk.events, start, header.place)
    if change.before is not None and change.after is not None:
        for tag, vr, value in differences(change.before, change.after):
            editor.set(tag, vr, value)
        if change.after.samples > 1 and editor.value(NUMBERS["planar"]) is None:
            editor.set(NUMBERS["planar"], "US", pack("<H", change.after.planar))
        _set_history(editor, change)
    for tag in TABLES:
        editor.remove(tag)
    edit(editor)
    place = editor.place(PIXEL_DATA) if header.place is None else header.place
    head, tail = editor.written(place, PIXEL_DATA)
    return _beginning(data, walk, change.syntax) + head, tail


def _beginning(data: bytes, walk: Walk, syntax: str) -> bytes:
    """Preamble and file meta information for another transfer syntax (PS3.10 7.1)."""
    has_preamble = data[128:132] == b"DICM" and data[:4] not in _TIFF
    preamble = data[:128] if has_preamble else bytes(128)
    old = {tag: data[offset : offset + length] for tag, _, offset, length, _ in walk.events if tag >> 16 == 2}
    sop_class, sop = (walk.values.get(tag, ("", b""))[1] for tag in (SOP_CLASS, SOP_INSTANCE))
    return preamble + b"DICM" + file_meta(old, syntax, sop_class, sop)


def differences(before: Image, after: Image) -> Iterator[tuple[int, str, bytes]]:
    """Attributes of the Image Pixel Module that do not say any more what is there: tag, VR and value."""
    for name, tag in NUMBERS.items():
        if getattr(before, name) != getattr(after, name) and (name != "planar" or after.samples > 1):
            yield tag, "US", pack("<H", getattr(after, name))
    if after.photometric != before.photometric:
        yield PHOTOMETRIC, "CS", after.photometric.encode("ascii", "replace")


def _set_history(editor: Editor, change: Change) -> None:
    """Lossy Image Compression, its ratio and method: what was once lost is never forgotten (PS3.3 C.7.6.1.1.5)."""
    said = (editor.value(LOSSY) or b"").strip(b"\0 ")
    if said != b"01" and (change.ratio is not None or (change.before is not None and _has_lost(change.before.syntax, said))):
        editor.set(LOSSY, "CS", b"01")
    if change.ratio is not None:
        _append(editor, RATIO, "DS", f"{change.ratio:.4g}".encode())
        _append(editor, METHOD, "CS", METHODS[change.syntax])


def _has_lost(syntax: str, said: bytes) -> bool:
    """Whether what comes in a transfer syntax lost something. Of those that may be either the data set knows best."""
    return syntax in syntaxes.JPEG_DCT or (syntaxes.is_lossy(syntax) and said != b"00")


def _append(editor: Editor, tag: int, vr: str, value: bytes) -> None:
    old = (editor.value(tag) or b"").strip(b"\0 ")
    editor.set(tag, vr, old + b"\\" + value if old else value)
