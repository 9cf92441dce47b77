"""Bodies of any size, made and read piece by piece, over plain blocking connections."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.dicomweb.media import parse_media_type
from gateway.dicomweb.multipart import Data, PartEnd, Scanner, boundary_of
from tests.backends.made import dicom
from tests.running import Gateway

MIB = 1 << 20
PIECE = bytes(range(256)) * 4096  # 1 MiB
ONE = "/studies/1.5/series/1.5.1/instances/1.5.1.1"
MANY = "/studies/1.6"
SINGLE = "application/dicom; transfer-syntax=*"
ALONE = 'multipart/related; type="application/dicom+json"; boundary=B'
MULTIPART = "multipart/related; type=application/dicom; transfer-syntax=*"


def one_large(size: int) -> Iterator[bytes]:
    """`ONE`, whose pixel data is `size` bytes, a whole number of MiB."""
    small = dicom("1.5", "1.5.1", "1.5.1.1", PixelData=b"\1\2\3\4", Rows=1, Columns=2)
    assert small.endswith(b"OW\0\0\4\0\0\0\1\2\3\4")
    yield small[:-8] + size.to_bytes(4, "little")
    for _ in range(size // len(PIECE)):
        yield PIECE


def one_of_many(number: int) -> bytes:
    return dicom("1.6", "1.6.1", f"1.6.1.{number}", Rows=512, Columns=512, PixelData=PIECE[: 512 * 1024])


def many(count: int) -> Iterator[bytes]:
    """A store request with that many instances of `MANY`; its boundary is B."""
    for number in range(1, count + 1):
        yield b"\r\n--B\r\nContent-Type: application/dicom\r\n\r\n"
        yield one_of_many(number)
    yield b"\r\n--B--\r\n"


def alone(size: int, sop: str) -> Iterator[bytes]:
    """A store request with a document of `size` MiB whose bytes come apart from its metadata; its media type is `ALONE`."""
    uids = {"00080016": "1.2.840.10008.5.1.4.1.1.104.1", "00080018": sop, "0020000D": "1.7", "0020000E": "1.7.1"}
    dataset = {key: {"vr": "UI", "Value": [uid]} for key, uid in uids.items()} | {"00420011": {"vr": "OB", "BulkDataURI": "document"}}
    yield b"--B\r\nContent-Type: application/dicom+json\r\n\r\n" + json.dumps([dataset]).encode()
    yield b"\r\n--B\r\nContent-Type: application/pdf\r\nContent-Location: document\r\n\r\n"
    for _ in range(size):
        yield PIECE
    yield b"\r\n--B--\r\n"


def digest(pieces: Iterator[bytes]) -> str:
    made = hashlib.sha256()
    for piece in pieces:
        made.update(piece)
    return made.hexdigest()


def post(gateway: Gateway, body: Iterator[bytes], content_type: str, length: int | None = None) -> int:
    """The status of a store request. :param length: its Content-Length; without one it is chunked."""
    url = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=300)
    headers = {"Content-Type": content_type} | ({"Content-Length": str(length)} if length is not None else {})
    connection.request("POST", url.path + "/studies", body, headers, encode_chunked=length is None)
    status = connection.getresponse().status
    connection.close()
    return status


@dataclass(frozen=True)
class Read:
    """An answer that was read piece by piece. :param parts: hashes of the parts of a multipart body."""

    status: int
    length: int
    sha: str
    parts: tuple[str, ...] = ()


def get(gateway: Gateway, path: str, accept: str, *, parts: bool = False) -> Read:
    """:param parts: whether the body is taken apart."""
    url = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=300)
    connection.request("GET", url.path + path, headers={"Accept": accept})
    response = connection.getresponse()
    scanner = Scanner(boundary_of(parse_media_type(response.headers["Content-Type"]))) if parts else None
    whole, length = hashlib.sha256(), 0
    found, part = [], hashlib.sha256()
    while piece := response.read(MIB):
        whole.update(piece)
        length += len(piece)
        for event in scanner.feed(piece) if scanner else ():
            if isinstance(event, Data):
                part.update(event.data)
            elif isinstance(event, PartEnd):
                found.append(part.hexdigest())
                part = hashlib.sha256()
    connection.close()
    return Read(response.status, length, whole.hexdigest(), tuple(found))
