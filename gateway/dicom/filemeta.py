"""File meta information written anew for a data set whose encoding changes (PS3.10 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

from gateway.dicom.explicit import element_header, padding
from gateway.dicom.vrs import implicit_vr

IMPLEMENTATION = b"2.25.94218077361265087710385012642879310653"
"""Implementation Class UID for files that name none: the gateway's own, made of a UUID (PS3.5 B.2)."""

GROUP_LENGTH = 0x00020000
VERSION = 0x00020001
SOP_CLASS = 0x00020002
SOP_INSTANCE = 0x00020003
SYNTAX = 0x00020010
IMPLEMENTATION_CLASS = 0x00020012


def file_meta(old: Mapping[int, bytes], syntax: str, sop_class: bytes, sop: bytes) -> bytes:
    """Group 0002 in Explicit VR Little Endian with a correct group length.

    :param old: what the file said, tag to raw value; all of it stays but the group length and the transfer syntax.
    :param syntax: the transfer syntax of the data set that follows.
    :param sop_class: raw SOP Class UID of the data set, for a file that has no meta information; `sop` likewise.
    """
    defaults = {VERSION: b"\0\x01", SOP_CLASS: sop_class, SOP_INSTANCE: sop, IMPLEMENTATION_CLASS: IMPLEMENTATION}
    values = {**defaults, **old, SYNTAX: syntax.encode()}
    body = b"".join(_element(tag, values[tag]) for tag in sorted(values) if tag != GROUP_LENGTH)
    return _element(GROUP_LENGTH, pack("<L", len(body))) + body


def _element(tag: int, value: bytes) -> bytes:
    vr = implicit_vr(tag)
    value += padding(vr, len(value))
    return element_header(tag, vr, len(value)) + value
