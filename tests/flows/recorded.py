"""Requests as clients sent them on the wire, and how those clients take the answers apart.

A request is written as it was recorded: its line, then its headers in their order and spelling. ``{study}`` and the like are
filled in. The readers do what the code of the clients does, no better and no worse, so an answer that only a lenient reader
understands fails.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from tests.web.gate import Answer, Gate

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

REQUESTS = """\
    User-Agent: python-requests/2.32.5
    Accept-Encoding: gzip, deflate
    Connection: keep-alive
"""
"""What requests adds."""


@dataclass(frozen=True)
class Uids:
    """Of an instance, for the places in a recorded request."""

    study: str
    series: str = ""
    sop: str = ""

    @property
    def path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}/instances/{self.sop}"


def wire(text: str, body: bytes = b"", **places: str) -> bytes:
    """A recorded request.

    :param text: its lines; indentation and blank lines do not count.
    :param places: what stands for ``{name}`` in them.
    """
    for name, value in places.items():
        text = text.replace("{" + name + "}", value)
    lines = [line.strip() for line in dedent(text).splitlines() if line.strip()]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


async def replay(gate: Gate, text: str, body: bytes = b"", uids: Uids | None = None, **places: str) -> Answer:
    """The answer to a recorded request, its content coding undone as clients do."""
    named = {} if uids is None else {"study": uids.study, "series": uids.series, "sop": uids.sop, "instance": uids.path}
    answer = await gate.raw(wire(text, body, **named, **places))
    return Answer(answer.status, answer.headers, decoded(answer))


def decoded(answer: Answer) -> bytes:
    match answer.headers.get("Content-Encoding"):
        case None:
            return answer.body
        case "gzip":
            return zlib.decompress(answer.body, 31)
        case "zstd":
            return zstd.decompress(answer.body)
        case other:
            raise AssertionError(f"nobody asked for {other}")


def results(answer: Answer, media_type: str = "application/dicom+json") -> list[dict[str, Any]]:
    """What a search found. The Content-Type is compared as a whole: the Python dicomweb-client does so too."""
    if answer.status == 204:
        assert answer.body == b""
        return []
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_type), answer.body
    assert isinstance(answer.json, list)
    return answer.json


# -- readers of multipart answers


def dcmjs_parts(body: bytes) -> list[bytes]:
    """dicomweb-client of dcmjs, which OHIF uses: the boundary is the first line with two hyphens, heads end within 1,000 bytes."""
    end = body.find(b"\r\n\r\n", 0, 1000)
    assert end >= 0, "Response message has no multipart mime header"
    boundary = _line_of_hyphens(body[:end])
    found, offset = [], len(boundary)
    while (at := body.find(boundary, offset)) >= 0:
        head = body.find(b"\r\n\r\n", offset, offset + 1000)
        assert head >= 0, "Response message part has no mime header"
        found.append(body[head + 4 : at - 2])
        offset = at + len(boundary)
    return found


def cornerstone_frame(answer: Answer) -> tuple[str, bytes]:
    """The only frame of an answer and its media type, as the image loader of cornerstone3D finds them."""
    body = answer.body
    if "multipart" not in answer.headers["Content-Type"]:
        return answer.headers["Content-Type"], body
    end = body.find(b"\r\n\r\n")
    assert 0 <= end < 512, "invalid response - no multipart mime header"
    boundary = _line_of_hyphens(body[:end])
    last = body.find(boundary, end + 4)
    assert last >= 0, "invalid response - terminating boundary not found"
    names = [line for line in body[:end].split(b"\r\n") if line.startswith(b"Content-Type:")]
    return names[0][13:].strip().decode(), body[end + 4 : last - 2]


def transfer_syntax(content_type: str) -> str:
    """As cornerstone reads it: parameters divided by semicolons, quotes dropped."""
    pairs = [word.split("=") for word in content_type.split(";")]
    return {pair[0].strip(): pair[1].strip().replace('"', "") for pair in pairs if len(pair) == 2}["transfer-syntax"]


def _line_of_hyphens(head: bytes) -> bytes:
    return next(line for line in head.split(b"\r\n") if line.startswith(b"--"))


def dicomtrolley_parts(answer: Answer) -> Iterator[bytes]:
    """Whatever stands before a boundary is a part; only a boundary at the very beginning is passed over."""
    words = [word.strip() for word in answer.headers["Content-Type"].split(";")]
    (boundary,) = [word.partition("=")[2].strip('"') for word in words if word.lower().startswith("boundary=")]
    pieces = answer.body.split(f"--{boundary}".encode())
    for part in pieces[0 if pieces[0] else 1 : -1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        assert blank, "content does not contain CR-LF-CR-LF"
        assert b"content-type:" in head.lower()
        yield content


def dcmweb_files(content_type: str, chunks: Iterator[bytes]) -> list[bytes]:
    """Google's dcmweb: what the network reads at once is dropped when it holds the boundary, and begins a file when it also
    holds the words Content-Type; the boundary is looked for in the lower-cased header."""
    content_type = content_type.lower()
    start = content_type.find("boundary=") + 9
    boundary = content_type[start : content_type.find(";", start)].encode()  # without a semicolon its last letter is lost
    files: list[bytes] = []
    for chunk in chunks:
        if boundary in chunk:
            if b"Content-Type" in chunk:
                files.append(b"")
        else:
            files[-1] += chunk
    return files
