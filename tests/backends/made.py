"""Small instances with chosen UIDs and attributes, and short ways to store, search and read them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.backends.base import Backend, Body, FileSlice, Retrieve, StoreResult, Upload, View
from gateway.dicom import dictionary
from gateway.dicom.header import Instance, peek
from gateway.dicomweb.media import Accept, parse_accept, parse_media_type
from gateway.dicomweb.multipart import Data, Part, PartEnd, Scanner, boundary_of
from gateway.dicomweb.query import Query, parse_query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import Gone, NotFound

CT = "1.2.840.10008.5.1.4.1.1.2"
AS_STORED = parse_accept(['multipart/related; type="application/dicom"; transfer-syntax=*'])
SINGLE = parse_accept(["application/dicom; transfer-syntax=*"])
JSON = parse_accept(["application/dicom+json"])
FRAMES = parse_accept(['multipart/related; type="application/octet-stream"; transfer-syntax=*'])
FRAME = parse_accept(["application/octet-stream; transfer-syntax=*"])
FIRST = ("1.1", "1.1.1", "1.1.1.1")
"""UIDs of what `dicom` makes without being told."""
ABSENT = (NotFound, Gone)
"""What is said of the deleted; that a store tells it from what never was has a test of its own."""


def dicom(
    study: str = "1.1", series: str = "1.1.1", sop: str = "1.1.1.1", *, syntax: str = ExplicitVRLittleEndian, **attributes: Any
) -> bytes:
    """A whole Part 10 file of a 4 x 4 picture, 16 bits."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = CT, sop, study, series
    ds.PatientName, ds.PatientID, ds.Modality, ds.StudyDate, ds.InstanceNumber = "Doe^Jane", "P1", "CT", "20240131", "1"
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelData = bytes(range(32))
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    out = io.BytesIO()
    ds["PixelData"].VR = "OW"
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def identity(data: bytes) -> Instance:
    found = peek(data, final=True)
    assert isinstance(found, Instance)
    return found


async def uploads(files: Iterable[bytes], piece: int = 100) -> AsyncIterator[Upload]:
    """The files as a request would bring them."""
    for number, data in enumerate(files, 1):

        async def body(data: bytes = data) -> AsyncIterator[bytes]:
            for start in range(0, len(data), piece):
                yield data[start : start + piece]

        yield Upload(number, identity(data), body())


def study(name: str = "1.1", *, series: int = 2, instances: int = 2, **attributes: Any) -> list[bytes]:
    """The files of a study: UIDs are those of the study with numbers behind."""
    return [
        dicom(name, f"{name}.{x}", f"{name}.{x}.{i}", InstanceNumber=str(i), SeriesNumber=str(x), **attributes)
        for x in range(1, series + 1)
        for i in range(1, instances + 1)
    ]


def named(*uids: str) -> Resource:
    """A study, series or instance."""
    study, series, sop = (*uids, None, None)[:3]
    return Resource(study, series, sop)


def wants(view: View, accept: Accept, *uids: str, frames: Sequence[int] = (), bulk: str | None = None) -> Retrieve:
    """A read of the study, series or instance of these UIDs."""
    return Retrieve(replace(named(*uids), frames=tuple(frames)), view, accept, bulk)


async def read(body: Body) -> bytes:
    """All bytes of a body, as a socket would get them."""
    collected = []
    try:
        async for piece in body.pieces:
            if isinstance(piece, FileSlice):
                collected.append(os.pread(piece.descriptor, piece.length, piece.offset))
                os.close(piece.descriptor)
            else:
                collected.append(piece)
    finally:
        await body.aclose()
    data = b"".join(collected)
    assert body.length in (None, len(data))
    return data


async def parts(body: Body) -> list[tuple[str, bytes]]:
    """Content-Type and bytes of each part of a multipart body."""
    return [(media, data) for media, _, data in await located(body)]


async def located(body: Body) -> list[tuple[str, str | None, bytes]]:
    """Content-Type, Content-Location and bytes of each part of a multipart body."""
    scanner = Scanner(boundary_of(parse_media_type(body.media_type)))
    found: list[tuple[str, str | None, bytes]] = []
    for event in [*scanner.feed(await read(body)), *scanner.close()]:
        if isinstance(event, Part):
            found.append((event.headers["content-type"], event.headers.get("content-location"), b""))
        elif isinstance(event, Data):
            found[-1] = (*found[-1][:2], found[-1][2] + event.data)
        assert not isinstance(event, PartEnd) or event.complete
    return found


async def content(backend: Backend, *uids: str, accept: Accept = SINGLE) -> bytes:
    """An instance as stored."""
    return await read(await backend.retrieve(wants(View.INSTANCES, accept, *(uids or FIRST))))


async def store(backend: Backend, *files: bytes) -> StoreResult:
    return await backend.store(uploads(files))


def query(level: Level = "study", resource: Resource = Resource(), /, **params: str) -> Query:
    """A search; an underscore in a name stands for the dot of a path."""
    pairs = [(name.replace("_", "."), value) for name, value in params.items()]
    return parse_query(level, resource, pairs, dictionary, max_limit=1000, default_limit=100)


async def found(backend: Backend, level: Level, tag: str, resource: Resource = Resource(), /, **params: str) -> list[Any]:
    """The first value of an attribute in each result."""
    matches = await backend.search(query(level, resource, **params))
    return [json.loads(result)[tag]["Value"][0] for result in matches.results]


async def sops(backend: Backend, **params: str) -> list[str]:
    """SOP Instance UIDs of all instances that match."""
    return await found(backend, "instance", "00080018", **params)
