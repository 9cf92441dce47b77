"""Every file that others made, taken apart into metadata and bulk data, and stored from these: the same instance comes back."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from gateway.backends.base import View
from gateway.backends.memory import MemoryBackend
from gateway.dicom.byteorder import swapped
from gateway.dicom.composing import PIXEL_DATA
from gateway.dicom.dictionary import keyword
from gateway.dicom.header import NEED_MORE, peek
from gateway.dicom.metadata import bulk_paths
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.multipart import MultipartLimits
from gateway.dicomweb.nativexml import native_xml
from gateway.errors import InstanceError
from gateway.pixels import syntaxes
from gateway.streams import Budget, IntakeLimits, multipart_events
from gateway.web.bulkparts import BulkArea
from gateway.web.composing import ComposedIntake
from gateway.web.metadataparts import JSON, XML
from tests import samples
from tests.backends import made
from tests.dicom import archive

ANYTHING = parse_accept(['multipart/related; type="*/*"'])
METADATA = parse_accept([JSON])
BOUNDARY = b"here"
OFFSETS = (0x7FE00001, 0x7FE00002)
"""Extended Offset Table: what it says holds for other fragments."""


DOCTORED = "JPEG2000-embedded-sequence-delimiter.dcm"
"""Its codestream claims to have 3,722,445,056 columns."""


def _named(data: bytes) -> bool:
    try:
        return peek(data, final=True) is not NEED_MORE
    except InstanceError:
        return False


def cases() -> Iterator[Any]:
    for name, make in samples.ALL.items():
        yield pytest.param(make(), id=name)
    for path in archive.readable():
        if path.name != DOCTORED and _named(data := path.read_bytes()):
            yield pytest.param(data, id=path.name)


async def taken_apart(data: bytes) -> tuple[dict[str, Any], list[tuple[str, str, bytes]]]:
    """Metadata, and media type, label and bytes of each part with bulk data, all as the gateway gives them."""
    backend = MemoryBackend()
    result = await made.store(backend, data)
    assert len(result.stored) == 1, result
    instance = result.stored[0].instance
    uids = (instance.study, instance.series, instance.sop)
    document = await made.read(await backend.retrieve(made.wants(View.METADATA, METADATA, *uids)))
    dataset = json.loads(document)[0]
    parts: list[tuple[str, str, bytes]] = []
    for path in bulk_paths(document):
        body = await backend.retrieve(made.wants(View.BULKDATA, ANYTHING, *uids, bulk=path))
        label = f"@/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}/bulkdata/{path}"
        parts += [(media, label, value) for media, _, value in await made.located(body)]
    return {"00020010": {"vr": "UI", "Value": [instance.transfer_syntax]}} | dataset, parts


def body_of(metadata: bytes, kind: str, parts: list[tuple[str, str, bytes]]) -> bytes:
    pieces = [b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (BOUNDARY, kind.encode(), metadata)]
    for media, label, value in parts:
        pieces.append(b"--%b\r\nContent-Type: %b\r\nContent-Location: %b\r\n\r\n%b\r\n" % (BOUNDARY, media.encode(), label.encode(), value))
    return b"".join(pieces) + b"--%b--" % BOUNDARY


async def put_together(body: bytes, kind: str) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    events = multipart_events(chunks(), BOUNDARY, MultipartLimits())
    intake = ComposedIntake(events, kind, IntakeLimits(), Budget(64 << 20), BulkArea())
    backend = MemoryBackend()
    result = await backend.store(intake.uploads())
    assert (intake.failed, result.failed, len(result.stored)) == ([], (), 1)
    instance = result.stored[0].instance
    return await made.content(backend, instance.study, instance.series, instance.sop)


def frames_of(dataset: Dataset) -> list[bytes]:
    """Compressed frames without their padding, and without the boxes that DICOM does not have (PS3.5 A.4.4)."""
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = [frame.rstrip(b"\0") for frame in generate_frames(dataset.PixelData, number_of_frames=count)]
    return [frame[frame.index(b"jp2c") + 4 :] if frame[4:6] == b"jP" else frame for frame in frames]


def meaning(dataset: Dataset, tag: BaseTag) -> Any:
    """The value without what does not count: blanks around codes, empty components of names, the order of bytes."""
    element = dataset[tag]
    if element.VR in ("CS", "PN") and element.value is not None:
        values = element.value if isinstance(element.value, MultiValue) else [element.value]
        return [re.sub(r"\^*(=|$)", r"\1", str(value).strip()) for value in values]
    if element.VR == "OW" and not dataset.is_little_endian:
        return swapped(element.value, dataset.BitsAllocated // 8 if tag == PIXEL_DATA and dataset.BitsAllocated > 16 else 2)
    return element.value


def differences(old: Dataset, new: Dataset) -> list[str]:
    """Tags of what is not equal."""
    found = []
    for tag in sorted({*old.keys(), *new.keys()}):
        if tag == 0x00080005 or tag in OFFSETS or tag.element == 0:
            continue
        if tag not in old or tag not in new:
            found.append(f"{tag} {'new' if tag in new else 'gone'}")
        elif old[tag].VR == "SQ" == new[tag].VR:
            found += [f"{tag}/{one}" for pair in zip(old[tag].value, new[tag].value, strict=True) for one in differences(*pair)]
        elif meaning(old, tag) != meaning(new, tag):
            found.append(f"{tag} {old[tag].VR} {new[tag].VR}")
    return found


@pytest.mark.parametrize("kind", [JSON, XML])
@pytest.mark.parametrize("data", list(cases()))
async def test_an_instance_comes_back_as_it_was(data: bytes, kind: str) -> None:
    dataset, parts = await taken_apart(data)
    metadata = json.dumps([dataset]).encode() if kind == JSON else native_xml(dataset, keyword)
    stored = await put_together(body_of(metadata, kind, parts), kind)
    old, new = (pydicom.dcmread(io.BytesIO(one), force=True) for one in (data, stored))
    syntax = dataset["00020010"]["Value"][0]
    if syntax in syntaxes.NATIVE:
        assert new.file_meta.TransferSyntaxUID == syntaxes.EXPLICIT
    else:
        assert new.file_meta.TransferSyntaxUID == syntax
        if "PixelData" in old:
            assert frames_of(old) == frames_of(new)
            del old.PixelData, new.PixelData
    assert differences(old, new) == []


async def test_pixels_of_another_size_than_the_metadata_say_are_refused() -> None:
    data = next(path for path in archive.readable() if path.name == DOCTORED).read_bytes()
    dataset, parts = await taken_apart(data)
    with pytest.raises(AssertionError, match=r"\(0028,0011\): Columns is not that of the pixel data"):
        await put_together(body_of(json.dumps(dataset).encode(), JSON, parts), JSON)
