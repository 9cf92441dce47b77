"""The writing side of ``multipart/related`` (PS3.18 8.6.1.2).

A body is ``part_head`` + bytes for each part, then ``closing``. Its shape follows the pickiest readers:

- every boundary has a CRLF in front of it, but for the first one (RFC 2046 5.1.1): dicomtrolley takes that one for a part;
- the boundary is random, lower-case hexadecimal and not quoted: Google's dcmweb lower-cases the Content-Type and takes what
  stands behind ``boundary=`` as it is;
- Content-Type is the first header and heads are short: OHIF looks for their end in the first 512 bytes only;
- a head goes out as a piece of its own, and frames in chunks, for dcmweb drops whatever shares a read with a boundary.

All lengths are known before the first byte is sent: ``len(part_head(...))`` and ``len(closing(...))`` are exact.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

_VALUE = re.compile(r"[\t\x20-\x7e]*")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def new_boundary() -> str:
    """A boundary that no body will hold by accident: 128 random bits."""
    return secrets.token_hex(16)


def content_type(inner: str, boundary: str) -> str:
    """The Content-Type of a whole body whose parts are of the media type `inner`.

    :raises ValueError: for a value that cannot stand in a header.
    """
    return _checked(f'multipart/related; type="{inner}"; boundary={boundary}')


def part_head(boundary: str, media_type: str, headers: Sequence[tuple[str, str]] = (), *, first: bool = False) -> bytes:
    """The delimiter of a part and its headers, up to the first byte of its body.

    :param media_type: of the part, with its parameters, for example ``application/dicom; transfer-syntax=1.2.840.10008.1.2.1``.
    :param headers: further ones, such as Content-Location.
    :param first: whether the body begins with it.
    :raises ValueError: for a name or value with CR, LF, NUL or anything else that a header cannot hold.
    """
    lines = [f"--{boundary}", f"Content-Type: {media_type}", *(f"{_named(name)}: {value}" for name, value in headers)]
    return ("\r\n" * (not first) + "\r\n".join(map(_checked, lines)) + "\r\n\r\n").encode("ascii")


def closing(boundary: str) -> bytes:
    """What ends a body."""
    return f"\r\n--{_checked(boundary)}--\r\n".encode("ascii")


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of a header")
    return name


def _checked(line: str) -> str:
    if not _VALUE.fullmatch(line):
        raise ValueError("a header holds control characters or is not ASCII")
    return line
