"""Whole instances as bodies: what is chosen, its bytes, and what stays open."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from gateway.backends import representations
from gateway.backends.base import Body, FileSlice
from gateway.backends.representations import Blob, chosen_syntax, close_pieces, instances, opened, whole
from gateway.dicomweb.media import Accept, parse_accept
from gateway.errors import InstanceError, NotAcceptable
from tests import samples
from tests.backends.made import AS_STORED, SINGLE, dicom, identity, parts, read
from tests.backends.resting import Disk, disk, open_below, resting

ANY = parse_accept(["*/*"])
DICOM = parse_accept(['multipart/related; type="application/dicom"'])
BARE = parse_accept(["application/dicom"])
EXPLICIT = ExplicitVRLittleEndian
NATIVE = [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def body_of(blobs: list[Blob], accept: Accept, default: str = EXPLICIT, *, single: bool = False) -> Body:
    return instances(blobs, accept, default, asyncio.to_thread, single=single)


def a_blob(syntax: str) -> Blob:
    """Only its transfer syntax counts; nobody asks for its bytes."""
    return Blob(replace(identity(dicom()), transfer_syntax=syntax), 3, "v", 0, Disk(Path("/dev/null")))


@pytest.mark.parametrize(
    ("stored", "accept", "default", "syntax", "as_stored"),
    [
        (EXPLICIT, "application/dicom", EXPLICIT, EXPLICIT, True),
        (EXPLICIT, "application/dicom; transfer-syntax=*", EXPLICIT, EXPLICIT, True),
        (ImplicitVRLittleEndian, "application/dicom", EXPLICIT, EXPLICIT, False),
        (ImplicitVRLittleEndian, "application/dicom", "*", ImplicitVRLittleEndian, True),
        (ImplicitVRLittleEndian, "*/*", EXPLICIT, ImplicitVRLittleEndian, True),
        (ImplicitVRLittleEndian, f"application/dicom; transfer-syntax={EXPLICIT}", "*", EXPLICIT, False),
        (ExplicitVRBigEndian, f"application/dicom; transfer-syntax={ExplicitVRBigEndian}", EXPLICIT, ExplicitVRBigEndian, True),
        (DeflatedExplicitVRLittleEndian, "application/dicom", EXPLICIT, EXPLICIT, False),
        (JPEGBaseline8Bit, "application/dicom; transfer-syntax=*", EXPLICIT, JPEGBaseline8Bit, True),
        (JPEGBaseline8Bit, "application/dicom", "*", JPEGBaseline8Bit, True),
        (JPEGBaseline8Bit, f"application/dicom, application/dicom; transfer-syntax={JPEGBaseline8Bit}", EXPLICIT, JPEGBaseline8Bit, True),
    ],
)
def test_what_is_chosen(stored: str, accept: str, default: str, syntax: str, as_stored: bool) -> None:
    offer = chosen_syntax(a_blob(stored), parse_accept([accept]), default, single=True)
    assert (offer.transfer_syntax, offer.as_stored) == (syntax, as_stored)


@pytest.mark.parametrize(
    ("stored", "accept"),
    [
        (JPEGBaseline8Bit, "application/dicom"),
        (JPEGBaseline8Bit, f"application/dicom; transfer-syntax={EXPLICIT}"),
        (EXPLICIT, f"application/dicom; transfer-syntax={JPEGBaseline8Bit}"),
        (EXPLICIT, f"application/dicom; transfer-syntax={ImplicitVRLittleEndian}"),
        (EXPLICIT, "application/dicom+json"),
        (EXPLICIT, "image/jpeg"),
    ],
)
def test_a_refusal_names_the_stored_syntax_and_the_way_out(stored: str, accept: str) -> None:
    with pytest.raises(NotAcceptable, match=stored) as caught:
        chosen_syntax(a_blob(stored), parse_accept([accept]), EXPLICIT, single=True)
    assert "transfer-syntax=*" in caught.value.message


async def test_one_compressed_instance_makes_its_study_unacceptable_before_anything_is_opened(tmp_path: Path) -> None:
    blobs = resting(tmp_path, dicom(), samples.encapsulated())
    with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
        body_of(blobs, DICOM)
    assert open_below(tmp_path) == 0


# -- as stored


async def test_a_single_instance_is_one_slice_with_length_validator_and_ranges(tmp_path: Path) -> None:
    data = dicom()
    (blob,) = resting(tmp_path, data)
    body = body_of([blob], SINGLE, single=True)
    assert (body.media_type, body.length, body.weak, body.modified) == ("application/dicom", len(data), False, 1000.0)
    assert body.select is not None and body.etag is not None
    part = body.select(10, 20)
    assert (part.length, part.etag, part.modified) == (10, body.etag, 1000.0)
    assert await read(part) == data[10:20]
    assert open_below(tmp_path) == 0


async def test_a_study_is_multipart_of_known_length_even_for_who_takes_single_parts(tmp_path: Path) -> None:
    files = [dicom(sop=f"1.1.1.{number}") for number in range(40)]
    body = body_of(resting(tmp_path, *files), ANY)
    assert body.media_type.startswith('multipart/related; type="application/dicom"; boundary=')
    assert (body.instances, body.modified, body.weak, body.select) == (40, 1039.0, True, None)
    assert body.length is not None and body.etag is not None
    assert await parts(body) == [("application/dicom", data) for data in files]


async def test_each_part_says_its_transfer_syntax(tmp_path: Path) -> None:
    files = [samples.ct(), samples.encapsulated(), samples.big_endian()]
    body = body_of(resting(tmp_path, *files), AS_STORED)
    assert await parts(body) == [
        ("application/dicom", files[0]),
        (f"application/dicom; transfer-syntax={JPEGBaseline8Bit}", files[1]),
        (f"application/dicom; transfer-syntax={ExplicitVRBigEndian}", files[2]),
    ]


# -- transcoded


@pytest.mark.parametrize("make", [samples.implicit, samples.big_endian, samples.deflated], ids=lambda make: make.__name__)
async def test_native_syntaxes_become_explicit_little_endian_with_the_same_data_set(tmp_path: Path, make: Callable[[], bytes]) -> None:
    data = make()
    body = body_of(resting(tmp_path, data), BARE, single=True)
    assert (body.media_type, body.length, body.select, body.modified) == ("application/dicom", None, None, 1000.0)
    made = pydicom.dcmread(io.BytesIO(await read(body)))
    assert made.file_meta.TransferSyntaxUID == EXPLICIT
    original = pydicom.dcmread(io.BytesIO(data))
    assert made.pixel_array.tolist() == original.pixel_array.tolist()
    del made.PixelData, original.PixelData
    assert made == original


async def test_a_large_instance_is_transcoded_piece_by_piece(tmp_path: Path) -> None:
    data = dicom(syntax=ImplicitVRLittleEndian, Rows=1024, Columns=1024, PixelData=samples.counted(2 << 20))
    (blob,) = resting(tmp_path, data)
    made = await read(body_of([blob], BARE, single=True))
    assert [length for _, length in disk(blob).reads] == [1 << 20, 1 << 20, len(data) - (2 << 20)]
    assert pydicom.dcmread(io.BytesIO(made)).PixelData == samples.counted(2 << 20)


async def test_a_long_header_does_not_come_in_thousands_of_pieces(tmp_path: Path) -> None:
    """Each piece costs the loop a write: a whole-slide segmentation of 44 kB once kept it for a tenth of a second."""
    items = []
    for number in range(2000):
        items.append(Dataset())
        items[-1].FrameLabel = str(number)
    (blob,) = resting(tmp_path, dicom(syntax=ImplicitVRLittleEndian, DimensionIndexSequence=items))
    body = body_of([blob], parse_accept([f"application/dicom; transfer-syntax={EXPLICIT}"]), single=True)
    pieces = [piece async for piece in body.pieces if isinstance(piece, bytes)]
    assert len(pieces) <= 2 and sum(map(len, pieces)) > 2000 * 16


async def test_stored_and_transcoded_instances_share_a_body(tmp_path: Path) -> None:
    files = [dicom(sop="1.1.1.1"), dicom(sop="1.1.1.2", syntax=ImplicitVRLittleEndian), dicom(sop="1.1.1.3")]
    body = body_of(resting(tmp_path, *files), DICOM)
    assert body.length is None
    found = await parts(body)
    assert [media for media, _ in found] == ["application/dicom"] * 3
    assert [found[0][1], found[2][1]] == [files[0], files[2]]
    assert pydicom.dcmread(io.BytesIO(found[1][1])).SOPInstanceUID == "1.1.1.2"
    assert open_below(tmp_path) == 0


async def test_what_cannot_be_transcoded_to_the_end_raises_in_the_middle(tmp_path: Path) -> None:
    data = dicom(syntax=ImplicitVRLittleEndian, PixelData=bytes(1 << 20), Rows=1024, Columns=512)
    (blob,) = resting(tmp_path, data)
    body = body_of([blob], BARE, single=True)
    disk(blob).path.write_bytes(data[:-10])
    with pytest.raises(InstanceError):
        await read(body)


# -- what stays open


async def test_few_files_are_open_at_once_and_none_when_the_reader_leaves(tmp_path: Path) -> None:
    body = body_of(resting(tmp_path, *[dicom(sop=f"1.1.1.{number}") for number in range(40)]), AS_STORED)
    assert open_below(tmp_path) == 0
    most = 0
    async for piece in body.pieces:
        most = max(most, open_below(tmp_path))
        if isinstance(piece, FileSlice):
            close_pieces([piece])
            break
    assert 0 < most <= representations.OPEN_AT_ONCE
    await body.aclose()
    assert open_below(tmp_path) == 0


async def test_a_single_instance_that_nobody_reads_is_closed(tmp_path: Path) -> None:
    body = body_of(resting(tmp_path, dicom()), SINGLE, single=True)
    assert open_below(tmp_path) == 1
    await body.aclose()
    await body.aclose()
    assert open_below(tmp_path) == 0


async def test_a_file_that_is_missing_leaves_its_neighbours_closed(tmp_path: Path) -> None:
    blobs = resting(tmp_path, *[dicom(sop=f"1.1.1.{number}") for number in range(5)])
    disk(blobs[3]).path.unlink()
    with pytest.raises(FileNotFoundError):
        await read(body_of(blobs, AS_STORED))
    assert open_below(tmp_path) == 0


async def test_a_reader_that_leaves_while_files_are_being_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (blob,) = resting(tmp_path, dicom())
    reached, go = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go.wait(10)

    disk(blob).before = wait
    body = body_of([blob], AS_STORED)
    reading = asyncio.ensure_future(anext(body.pieces))
    await asyncio.to_thread(reached.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go.set()
    await body.aclose()
    async with asyncio.timeout(10):
        while open_below(tmp_path):
            await asyncio.sleep(0.01)


async def test_an_opening_that_fails_after_its_reader_left_is_nobodys_error() -> None:
    go = threading.Event()

    def fail() -> None:
        go.wait(10)
        raise OSError("late")

    closed: list[None] = []
    waiting = asyncio.ensure_future(opened(asyncio.to_thread, fail, closed.append))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    await asyncio.to_thread(str)
    assert closed == []


async def test_a_piece_of_bytes_can_be_cut_too() -> None:
    body = whole("text/plain", b"0123456789", "tag", 5.0)
    assert (body.length, body.etag, body.modified) == (10, "tag", 5.0) and body.select is not None
    assert await read(body.select(2, 5)) == b"234"


# -- validators


async def tags(blobs: list[Blob], *accepts: Accept) -> list[str | None]:
    """The tag of each form that is asked for."""
    found = []
    for accept in accepts:
        body = body_of(blobs, accept, single=len(blobs) == 1)
        assert body.weak == body.media_type.startswith("multipart/")
        found.append(body.etag)
        await body.aclose()
    return found


async def test_each_form_of_an_instance_has_a_tag_of_its_own(tmp_path: Path) -> None:
    blobs = resting(tmp_path, dicom(syntax=ImplicitVRLittleEndian))
    asked = (SINGLE, BARE, AS_STORED, DICOM)
    found = await tags(blobs, *asked)
    assert None not in found and len(set(found)) == 4
    assert await tags(blobs, *asked) == found


async def test_a_tag_changes_with_every_instance_and_their_order(tmp_path: Path) -> None:
    one, two, three = resting(tmp_path, dicom(sop="1.1.1.1"), dicom(sop="1.1.1.2"), dicom(sop="1.1.1.3"))
    states = [[one], [replace(one, version="v9")], [replace(one, modified=9.0)], [one, two], [two, one], [one, two, three], [one, three]]
    found = [(await tags(blobs, AS_STORED))[0] for blobs in states]
    assert len(set(found)) == len(states)
