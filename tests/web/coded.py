"""Content codings as a client undoes them."""

from __future__ import annotations

import sys
import zlib

from tests.web.gate import Answer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODINGS = ("gzip", "zstd")


def decoded(coding: str, data: bytes) -> bytes:
    """Bytes without their content coding, and nothing left over."""
    if coding == "gzip":
        stream = zlib.decompressobj(wbits=31)
        plain = stream.decompress(data) + stream.flush()
        assert stream.eof and not stream.unused_data
        return plain
    return zstd.decompress(data)


def begun(coding: str, data: bytes) -> bytes:
    """What can be had of a beginning."""
    return zlib.decompressobj(wbits=31).decompress(data) if coding == "gzip" else zstd.ZstdDecompressor().decompress(data)


def plain(answer: Answer) -> bytes:
    """The body of an answer that has a content coding."""
    return decoded(answer.headers["Content-Encoding"], answer.body)
