"""The beginning of a DICOM file: preamble, file meta information, and what they say of the encoding (PS3.10 7.1).

Nothing here keeps state; `elements.Walk` asks these questions as soon as the bytes for an answer are there.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from gateway.dicom.tables import UIDS
from gateway.dicom.vrs import LONG, SHORT

Buffer = bytes | bytearray | memoryview

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Transfer syntaxes whose whole data set is one deflate stream (PS3.5 A.5, and JPIP with deflate A.7, A.12)."""

DIRECTORY = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage: an index of files on a disc, never an instance of a study."""

MAGIC = 128
"""Where ``DICM`` stands: behind the preamble."""

DETECT = MAGIC + 4 + 8
"""Bytes that tell where a file begins: preamble, magic, the header of the first element."""


class Codec(NamedTuple):
    """How the headers of a data set are read."""

    explicit: bool
    little: bool
    head: Struct
    """Tag, VR and two-byte length of Explicit VR."""
    plain: Struct
    """Tag and four-byte length: Implicit VR, items and delimiters."""
    length: Struct


def _codec(explicit: bool, little: bool) -> Codec:
    order = "<" if little else ">"
    return Codec(explicit, little, Struct(order + "HH2sH"), Struct(order + "HHL"), Struct(order + "L"))


CODECS = {(explicit, little): _codec(explicit, little) for explicit in (True, False) for little in (True, False)}
META = CODECS[True, True]


def _opens_data_set(head: Buffer) -> bool:
    """Whether eight bytes look like the first element of a file without preamble.

    Every data set with a SOP Class begins in group 0008 (0002 with file meta, 0004 for a directory); the second byte of the
    pair is zero in either byte order.
    """
    return len(head) >= 8 and (head[0], head[1]) in {(2, 0), (4, 0), (8, 0), (0, 4), (0, 8)}


def find_start(head: Buffer) -> int | None:
    """Where the first element is: 132 behind a preamble, 0 in a file without one, None in what is not DICOM.

    Looks at the first `DETECT` bytes. ``DICM`` at its place is taken for a value when the file has elements from its first
    byte on and none of group 0002 after it.
    """
    if bytes(head[MAGIC : MAGIC + 4]) == b"DICM":
        meta = bytes(head[MAGIC + 4 : MAGIC + 6]) == b"\x02\x00"
        if meta or not _opens_data_set(head):
            return MAGIC + 4
    return 0 if _opens_data_set(head) else None


def looks_explicit(head: Buffer) -> bool:
    """Whether an element header has two capital letters where Explicit VR has its VR.

    Implicit VR would need a value of more than 16 kB in the first element to look like that; pydicom asks the same.
    """
    return len(head) >= 6 and 0x40 < head[4] < 0x5B and 0x40 < head[5] < 0x5B


def guess_syntax(head: Buffer) -> str:
    """The transfer syntax of a data set whose file meta names none, from the header of its first element."""
    raw = bytes(head[4:6])
    if raw not in SHORT and raw not in LONG:
        return IMPLICIT
    return EXPLICIT if head[1] < 4 else BIG_ENDIAN  # a group from 0x0400 on, read as little endian, is a swapped one


def codec_of(syntax: str, head: Buffer) -> Codec:
    """How to read the data set that begins with `head`: as its transfer syntax says, unless the first VR says otherwise.

    Files whose syntax claims Explicit VR over an implicit data set, or the reverse, exist; the bytes are right.
    """
    if len(head) < 6:
        return CODECS[syntax != IMPLICIT, syntax != BIG_ENDIAN]
    return CODECS[looks_explicit(head), syntax != BIG_ENDIAN]


# Not pydicom's UID class: it warns about what is no UID, and shows it, and what stands here may be anything of a damaged file.
_KNOWN = frozenset(uid for uid, entry in UIDS.items() if entry[1] == "Transfer Syntax")


def known_syntax(syntax: str) -> bool:
    """Whether the standard has, or once had, this transfer syntax (PS3.6 A)."""
    return syntax in _KNOWN


def uid_text(value: bytes) -> str:
    """The UID in a value: padding by NUL (PS3.5 9.1) and by spaces, which many writers use, is cut off.

    Bytes outside ASCII become U+FFFD, so that the text is no UID.
    """
    return value.decode("ascii", "replace").strip("\0 ")
