"""What a codestream says of its pixels, as the attributes of a data set that does not (PS3.18 10.5.1.1.2: missing ones are derived).

`codestreams` reads sizes; here is what else an Image Pixel Module needs (PS3.3 C.7.6.3): which of its transfer syntaxes a codestream
is in, how its colours are coded, where it lies inside of a JP2 file. Only the first bytes of a frame are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from gateway.pixels import boxes, syntaxes
from gateway.pixels.codestreams import Codestream, header

HEAD = 1 << 20
"""Bytes of a frame that are looked at: before its size it may carry a colour profile, which has some hundred kilobytes at most."""

ROWS, COLUMNS, SAMPLES, PHOTOMETRIC, ALLOCATED = 0x00280010, 0x00280011, 0x00280002, 0x00280004, 0x00280100

FAMILIES: dict[str, frozenset[str]] = {
    "image/jpeg": syntaxes.JPEG_DCT | syntaxes.JPEG_PREDICTED,
    "image/jls": syntaxes.JPEG_LS_ALL,
    "image/jp2": syntaxes.J2K_ALL,
    "image/j2c": syntaxes.J2K_ALL,
    "image/jpx": syntaxes.J2K_ALL,
    "image/jphc": syntaxes.HTJ2K_ALL,
    "image/jxl": syntaxes.JPEG_XL_ALL,
    "image/dicom-rle": frozenset({syntaxes.RLE}),
    "video/mpeg": frozenset(f"1.2.840.10008.1.2.4.{number}{part}" for number in (100, 101) for part in ("", ".1")),
    "video/mp4": frozenset(f"1.2.840.10008.1.2.4.{number}{part}" for number in range(102, 109) for part in ("", ".1")),
}
"""Media type -> the transfer syntaxes whose frames it may be (PS3.18 table 8.7.3-5)."""

VIDEO = FAMILIES["video/mpeg"] | FAMILIES["video/mp4"]

_ALONE = {"image/dicom-rle": syntaxes.RLE, "video/mpeg": "1.2.840.10008.1.2.4.100", "video/mp4": "1.2.840.10008.1.2.4.102"}
_KINDS = {
    **dict.fromkeys(FAMILIES["image/jpeg"], "JPEG"),
    **dict.fromkeys(FAMILIES["image/jls"], "JPEG-LS"),
    **dict.fromkeys(FAMILIES["image/jp2"] | FAMILIES["image/jphc"], "JPEG 2000"),
    **dict.fromkeys(FAMILIES["image/jxl"], "JPEG XL"),
}
_NAMES = {ROWS: "Rows", COLUMNS: "Columns", SAMPLES: "Samples per Pixel"}
_NEEDED = (SAMPLES, PHOTOMETRIC, ROWS, COLUMNS, ALLOCATED)
_JP2, _BOX = b"\0\0\0\x0cjP  ", b"jp2c"

Attributes = dict[str, dict[str, Any]]


def family_of(syntax: str) -> bool:
    """Whether a transfer syntax has a media type of its own: its frames are no octets."""
    return any(syntax in family for family in FAMILIES.values())


def holds(syntax: str, head: bytes) -> bool:
    """Whether a frame that begins with `head` may be of a transfer syntax, as far as its header can be read."""
    found = header(head)
    return found is None or found.kind == _KINDS.get(syntax, found.kind)


def is_codestream(syntax: str, head: bytes) -> bool:
    """Whether a frame that begins with `head` surely is of a transfer syntax."""
    found = header(head)
    return found is not None and found.kind == _KINDS.get(syntax)


def syntax_of(media: str, head: bytes) -> str | None:
    """The transfer syntax of a frame of which only the media type is known; None when neither that nor `head` tells."""
    if media in _ALONE:
        return _ALONE[media]
    found = header(head)
    if found is None:
        return None
    match found.kind:
        case "JPEG":
            return _of_jpeg(found, head)
        case "JPEG-LS":
            return syntaxes.JPEG_LS_NEAR if _near(head) else syntaxes.JPEG_LS
        case "JPEG 2000":
            return _of_jpeg_2000(head)
    return syntaxes.JPEG_XL


def described(dataset: Mapping[str, Any], syntax: str, head: bytes | None, frames: int) -> Attributes:
    """What the pixels say and the data set does not.

    :param dataset: DICOM JSON. :param head: what a frame begins with; None where pixels are plain octets.
    :param frames: how many there are; 0 where nobody can tell.
    :raises InstanceError: for a data set that says something else than its pixels, or nothing where these do not tell either.
    """
    found = None if head is None else header(head)
    derived = {} if found is None or head is None else _of(found, syntax, head)
    for tag, name in _NAMES.items():
        said, true = _number(dataset, tag), derived.get(tag)
        if said is not None and true is not None and said != true["Value"][0]:
            raise InstanceError(Reason.DOES_NOT_MATCH_SOP_CLASS, f"{name} is not that of the pixel data", tag)
    if frames > 1:
        derived[0x00280008] = {"vr": "IS", "Value": [frames]}
    if syntaxes.is_lossy(syntax) and found is not None:
        derived[0x00282110] = {"vr": "CS", "Value": ["01"]}
    missing = {f"{tag:08X}": attribute for tag, attribute in derived.items() if _empty(dataset, tag)}
    for tag in _NEEDED:
        if _empty(dataset, tag) and f"{tag:08X}" not in missing:
            raise InstanceError(Reason.CANNOT_UNDERSTAND, "is missing, and the pixel data do not tell it", tag)
    return missing


def _empty(dataset: Mapping[str, Any], tag: int) -> bool:
    attribute = dataset.get(f"{tag:08X}")
    return not (isinstance(attribute, Mapping) and attribute.get("Value"))


def _number(dataset: Mapping[str, Any], tag: int) -> int | None:
    if _empty(dataset, tag):
        return None
    values = dataset[f"{tag:08X}"]["Value"]
    text = str(values[0]).strip() if isinstance(values, list) else ""
    return int(text) if text.isdecimal() else None


def _of(found: Codestream, syntax: str, head: bytes) -> dict[int, dict[str, Any]]:
    """The Image Pixel Module of a codestream (PS3.3 C.7.6.3); JPEG XL tells only its size at its beginning."""
    numbers = {ROWS: found.rows, COLUMNS: found.columns}
    if found.samples:
        allocated = 8 if found.precision <= 8 else 16 if found.precision <= 16 else 32
        numbers |= {SAMPLES: found.samples, ALLOCATED: allocated, 0x00280101: found.precision, 0x00280102: found.precision - 1}
        numbers[0x00280103] = int(found.signed)
    if found.samples > 1:
        numbers[0x00280006] = 0
    derived = {tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()}
    colours = _photometric(found, syntax, head)
    return derived if colours is None else derived | {PHOTOMETRIC: {"vr": "CS", "Value": [colours]}}


def _photometric(found: Codestream, syntax: str, head: bytes) -> str | None:
    """Photometric Interpretation (PS3.5 8.2.1 to 8.2.4, 8.2.14); None where nothing tells."""
    if found.samples == 1:
        return "MONOCHROME2"
    if found.samples != 3:
        return None
    if found.kind == "JPEG 2000":
        reversible, mixed = _wavelet(head)
        return ("YBR_RCT" if reversible else "YBR_ICT") if mixed else "RGB"
    if found.kind == "JPEG-LS" or found.transform == 0 or found.identifiers == b"RGB" or syntax in syntaxes.JPEG_PREDICTED:
        return "RGB"
    return "YBR_FULL_422" if _subsampled(head) else "YBR_FULL"


# -- JPEG and JPEG-LS


def _segments(data: bytes, position: int, last: int) -> Iterator[tuple[int, int]]:
    """Marker and start of its content, up to and with the marker `last`; ends where the bytes do."""
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        yield marker, position + 4
        if marker == last:
            return
        position += 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)


def _scan(head: bytes) -> bytes:
    """What follows the components in the header of the first scan (ISO/IEC 10918-1 B.2.3, 14495-1 C.2.3)."""
    for marker, start in _segments(head, 2, 0xDA):
        if marker == 0xDA and start < len(head):
            after = start + 1 + 2 * head[start]
            return head[after : after + 3]
    return b""


def _near(head: bytes) -> int:
    """NEAR of JPEG-LS."""
    return next(iter(_scan(head)), 0)


def _of_jpeg(found: Codestream, head: bytes) -> str:
    if found.lossless:
        return syntaxes.JPEG_LOSSLESS_SV1 if _scan(head)[:1] == b"\1" else syntaxes.JPEG_LOSSLESS
    frame = next((marker for marker, _ in _segments(head, 2, 0xDA) if marker in (0xC0, 0xC1, 0xC2)), 0xC0)
    if frame == 0xC2:
        return syntaxes.JPEG_PROGRESSIVE
    return syntaxes.JPEG_BASELINE if frame == 0xC0 and found.precision == 8 else syntaxes.JPEG_EXTENDED


def _subsampled(head: bytes) -> bool:
    """Whether the first component has more samples in a row than the second."""
    for marker, start in _segments(head, 2, 0xDA):
        if marker in (0xC0, 0xC1, 0xC2) and len(head) >= start + 12:
            return head[start + 7] >> 4 > head[start + 10] >> 4
    return False


# -- JPEG 2000


def codestream_in(head: bytes, size: int) -> tuple[int, int]:
    """Start and end of the codestream in a frame of `size` bytes: all of it, unless it is a JP2 file (ISO/IEC 15444-1 I.5.4).

    DICOM has bare codestreams (PS3.5 A.4.4).

    :raises InstanceError: for a JP2 file whose codestream does not begin within `head`.
    """
    if not head.startswith(_JP2):
        return 0, size
    box = boxes.find(head, _BOX)
    if box is not None:
        return box.start, size if box.end is None else min(box.end, size)
    raise InstanceError(Reason.CANNOT_UNDERSTAND, "a JP2 file whose codestream cannot be found", 0x7FE00010)


def _main_header(head: bytes) -> Iterator[tuple[int, int]]:
    start = codestream_in(head, len(head))[0]
    return _segments(head, start + 2, 0x90)


def _wavelet(head: bytes) -> tuple[bool, bool]:
    """Whether the wavelet is reversible, and whether components are mixed (A.6.1)."""
    for marker, start in _main_header(head):
        if marker == 0x52 and len(head) >= start + 10:
            return head[start + 9] == 1, head[start + 4] == 1
    return False, False


def _of_jpeg_2000(head: bytes) -> str:
    reversible, _ = _wavelet(head)
    if not any(marker == 0x50 for marker, _ in _main_header(head)):  # CAP: high throughput (15444-15 A.3)
        return syntaxes.J2K_LOSSLESS if reversible else syntaxes.J2K
    if not reversible:
        return syntaxes.HTJ2K
    orders = [head[start + 1] for marker, start in _main_header(head) if marker == 0x52]
    return syntaxes.HTJ2K_LOSSLESS_RPCL if orders == [2] else syntaxes.HTJ2K_LOSSLESS
