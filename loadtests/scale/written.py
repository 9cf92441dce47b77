"""The instances of a made-up study as Part 10 files of one or two kilobytes: a usual header, and a picture of eight by eight.

Encoded once for each series; instances differ in values of equal length, so that one costs a microsecond.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from loadtests.scale.hospital import Study

EXPLICIT = "1.2.840.10008.1.2.1"
SIDE = 8
_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "SR": "1.2.840.10008.5.1.4.1.1.88.22",
    "PR": "1.2.840.10008.5.1.4.1.1.11.1",
}
WITHOUT_PICTURES = frozenset({"SR", "PR"})
_LONG = frozenset({"OB", "OW", "SQ", "UN", "UT"})

_SOP, _NUMBER, _PLACE = b"%(sop)b", b"%(number)b", b"%(place)b"
_WIDTHS = {_SOP: 28, _NUMBER: 6, _PLACE: 8}
"""What stands where instances differ, and how many bytes its value has."""


def sop_class(modality: str) -> str:
    """The SOP Class UID of a modality's instances."""
    return _CLASSES[modality]


def series_files(study: Study, index: int) -> Iterator[tuple[str, bytes]]:
    """SOP Instance UID and file of each instance of a series."""
    modality, count = study.series[index]
    template = _template(study, index, modality)
    for number in range(count):
        sop = study.sop_uid(index, number)
        values = {
            b"sop": sop.encode().ljust(_WIDTHS[_SOP], b"\0"),
            b"number": b"%-6d" % (number + 1),
            b"place": b"%-8.2f" % (-1.25 * number),
        }
        yield sop, template % values


def _template(study: Study, index: int, modality: str) -> bytes:
    uid = _CLASSES[modality]
    meta = b"".join(
        [
            _element(0x00020001, "OB", b"\0\1"),
            _element(0x00020002, "UI", uid),
            _element(0x00020003, "UI", _SOP),
            _element(0x00020010, "UI", EXPLICIT),
            _element(0x00020012, "UI", "2.25.70"),
        ]
    )
    length = len(meta) - len(_SOP) + _WIDTHS[_SOP]
    body = b"".join(_element(*one) for one in sorted(_elements(study, index, modality, uid)))
    return b"\0" * 128 + b"DICM" + _element(0x00020000, "UL", struct.pack("<L", length)) + meta + body + _pixels(study, modality)


def _elements(study: Study, index: int, modality: str, uid: str) -> list[tuple[int, str, str | bytes]]:
    day, patient = f"{study.day:%Y%m%d}", study.patient
    hour = f"{7 + study.number % 11:02d}{study.number % 60:02d}"
    found: list[tuple[int, str, str | bytes]] = [
        (0x00080005, "CS", "ISO_IR 192"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY"),
        (0x00080016, "UI", uid),
        (0x00080018, "UI", _SOP),
        (0x00080020, "DA", day),
        (0x00080021, "DA", day),
        (0x00080022, "DA", day),
        (0x00080023, "DA", day),
        (0x00080030, "TM", f"{hour}15"),
        (0x00080031, "TM", f"{hour}40"),
        (0x00080050, "SH", study.accession),
        (0x00080060, "CS", modality),
        (0x00080070, "LO", "Made Up Imaging"),
        (0x00080080, "LO", "Hospital on Paper"),
        (0x00080090, "PN", study.referring),
        (0x00081010, "SH", f"{modality}{study.number % 5}"),
        (0x00081030, "LO", study.description),
        (0x0008103E, "LO", f"{modality} {study.part.lower()} {index + 1}"),
        (0x00081090, "LO", "Imaginary 8"),
        (0x00100010, "PN", patient.name),
        (0x00100020, "LO", patient.id),
        (0x00100030, "DA", patient.birth),
        (0x00100040, "CS", patient.sex),
        (0x00101010, "AS", f"{min(99, abs(study.day.year - int(patient.birth[:4]))):03d}Y"),
        (0x00180015, "CS", study.part),
        (0x00181030, "LO", f"{study.part.capitalize()} routine"),
        (0x00185100, "CS", "HFS"),
        (0x0020000D, "UI", study.uid),
        (0x0020000E, "UI", study.series_uid(index)),
        (0x00200010, "SH", f"{study.number}"),
        (0x00200011, "IS", f"{index + 1}"),
        (0x00200013, "IS", _NUMBER),
        (0x00400244, "DA", day),
        (0x00400245, "TM", f"{hour}15"),
        (0x00400253, "SH", f"PPS{study.number}"),
    ]
    return found if modality in WITHOUT_PICTURES else found + _of_picture(modality, study)


def _of_picture(modality: str, study: Study) -> list[tuple[int, str, str | bytes]]:
    found: list[tuple[int, str, str | bytes]] = [
        (0x00280002, "US", _us(1)),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", _us(SIDE)),
        (0x00280011, "US", _us(SIDE)),
        (0x00280100, "US", _us(8)),
        (0x00280101, "US", _us(8)),
        (0x00280102, "US", _us(7)),
        (0x00280103, "US", _us(0)),
        (0x00281050, "DS", "40"),
        (0x00281051, "DS", "400"),
    ]
    if modality in ("CT", "MR"):
        found += [
            (0x00180050, "DS", "1.25"),
            (0x00180060, "DS", f"{80 + 20 * (study.number % 4)}"),
            (0x00200032, "DS", b"-180\\-180\\" + _PLACE),
            (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
            (0x00200052, "UI", f"{study.uid}.1"),
            (0x00201041, "DS", _PLACE),
            (0x00280030, "DS", "0.7\\0.7"),
        ]
    return found


def _pixels(study: Study, modality: str) -> bytes:
    """Without a per cent sign, which would mean something in a template."""
    if modality in WITHOUT_PICTURES:
        return b""
    return _element(0x7FE00010, "OB", bytes(128 + (study.number + each) % 128 for each in range(SIDE * SIDE)))


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _element(tag: int, vr: str, value: str | bytes) -> bytes:
    """Explicit VR Little Endian. The value may hold the names of what differs, each as wide as `_WIDTHS` says."""
    data = value if isinstance(value, bytes) else value.encode()
    width = len(data) + sum(_WIDTHS[name] - len(name) for name in _WIDTHS if name in data)
    data += (b"\0" if vr in ("UI", "OB") else b" ") * (width % 2)
    width += width % 2
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (struct.pack("<HL", 0, width) if vr in _LONG else struct.pack("<H", width)).replace(b"%", b"%%") + data
