"""Bulk data as bodies: one value, and all values of several instances."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from gateway.backends import bulk
from gateway.backends.base import Body, FileSlice, View
from gateway.backends.bulk import Laid, all_bulk_data, bulk_body
from gateway.backends.parts import SMALL
from gateway.backends.representations import OCTETS, Blob, close_pieces
from gateway.dicom.elements import Limits
from gateway.dicom.frames import FrameTable
from gateway.dicom.metadata import instance_metadata
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.dicomweb.media import Accept, parse_accept
from gateway.errors import InstanceError, NotAcceptable, NotFound
from tests import samples
from tests.backends.made import FRAME, FRAMES, dicom, located, named, parts, read
from tests.backends.resting import disk, open_below, resting, tabled, walked
from tests.dicom.handmade import big, el, item, plain

ANY = parse_accept(["*/*"])
NATIVE = parse_accept(['multipart/related; type="application/octet-stream"'])
JPEGS = parse_accept(['multipart/related; type="image/jpeg"'])
JPEG = f"image/jpeg; transfer-syntax={JPEGBaseline8Bit}"


def laid(blob: Blob) -> Laid:
    data = disk(blob).path.read_bytes()
    walk = walked(data)
    return Laid(blob, inflated(data) if walk.syntax in DEFLATED else data, walk, partial(table_of, data))


def table_of(data: bytes) -> FrameTable | None:
    try:
        return tabled(data)
    except InstanceError:
        return None


def bulk_of(folder: Path, data: bytes, path: str, accept: Accept = FRAME) -> Body:
    (blob,) = resting(folder, data)
    return bulk_body(laid(blob), path, accept, asyncio.to_thread, Limits())


@dataclass
class Shelf:
    """A `Held`. :ivar looked: numbers of the instances that were looked into."""

    blobs: list[Blob]
    looked: list[int] = field(default_factory=list)

    def documents(self, some: Sequence[int]) -> list[bytes]:
        return [self._document(laid(self.blobs[number])) for number in some]

    def laid(self, number: int) -> Laid:
        self.looked.append(number)
        return laid(self.blobs[number])

    def _document(self, one: Laid) -> bytes:
        return instance_metadata(one.data, one.walk.events, syntax=one.walk.syntax, bulk_prefix="@/studies/x")


async def all_of(shelf: Shelf, accept: Accept = ANY, *uids: str, view: View = View.BULKDATA) -> Body:
    first = shelf.blobs[0].instance
    resource = named(*(uids or (first.study,)))
    return await all_bulk_data(resource, view, shelf, accept, asyncio.to_thread, Limits())


# -- one value


@pytest.mark.parametrize("make", [samples.ct, samples.implicit, samples.deflated], ids=lambda make: make.__name__)
async def test_native_pixel_data_is_one_value(make: Callable[[], bytes], tmp_path: Path) -> None:
    body = bulk_of(tmp_path, make(), "7FE00010")
    assert (body.media_type, body.length) == (OCTETS, 32)
    assert await read(body) == samples.counted(32)
    assert await located(bulk_of(tmp_path, make(), "7FE00010", FRAMES)) == [(OCTETS, "7FE00010", samples.counted(32))]


async def test_words_are_turned_into_little_endian(tmp_path: Path) -> None:
    assert await read(bulk_of(tmp_path, samples.big_endian(1), "7FE00010")) == samples.counted(32)


async def test_what_is_little_endian_in_a_big_endian_file_stays_as_it_is(tmp_path: Path) -> None:
    """A sequence of VR UN (PS3.5 6.2.2)."""
    uids = {0x00080016: b"1.2", 0x00080018: b"1.3\0", 0x0020000D: b"1.4\0", 0x0020000E: b"1.5\0"}
    unknown = el(0x00091010, "UN", item(plain(0x54001010, b"abcd")), little=False, length=0xFFFFFFFF) + plain(0xFFFEE0DD, b"")
    elements = [el(tag, "UI", uid.ljust(4, b"\0"), little=False) for tag, uid in uids.items()]
    data = big(*elements[:2], unknown, *elements[2:])
    assert await read(bulk_of(tmp_path, data, "00091010/0/54001010")) == b"abcd"


async def test_a_value_inside_an_item(tmp_path: Path) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTExplanation, lut.LUTData = [4, 0, 16], "x", samples.counted(8)
    lut["LUTData"].VR = "OW"
    data = dicom(ModalityLUTSequence=[Dataset(), lut])
    assert await read(bulk_of(tmp_path, data, "00283000/1/00283006")) == samples.counted(8)
    assert [where for _, where, _ in await located(bulk_of(tmp_path, data, "00283000/1/00283006", ANY))] == ["00283006"]
    for path in ("00283000/0/00283006", "00283000/2/00283006", "00283006", "7FE00010/0", "", "../7FE00010", "7fe00010x"):
        with pytest.raises(NotFound):
            bulk_of(tmp_path, data, path)


async def test_compressed_pixel_data_is_its_frames(tmp_path: Path) -> None:
    body = bulk_of(tmp_path, samples.encapsulated(2, 3), "7FE00010", ANY)
    assert body.length is not None
    found = await located(body)
    assert [place[:2] for place in found] == [(JPEG, "7FE00010")] * 2
    assert [content.rstrip(b"\0") for _, _, content in found] == samples.codestreams(2)
    with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
        bulk_of(tmp_path, samples.encapsulated(2), "7FE00010", NATIVE)


async def test_more_frames_than_are_worth_counting_go_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LAID_OUT", 3)
    body = bulk_of(tmp_path, samples.encapsulated(4), "7FE00010", ANY)
    assert body.length is None
    assert len(await parts(body)) == 4


def iconed(syntax: str) -> bytes:
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    icon.BitsAllocated, icon.SamplesPerPixel = 8, 1
    icon.PixelData = encapsulate(samples.codestreams(1), 2, has_bot=False)
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", True
    ds = samples.pictured(samples.identified(), encapsulate(samples.codestreams(1)), bits=8)
    ds["PixelData"].is_undefined_length = True
    ds.IconImageSequence = [icon]
    return samples.written(ds, syntax)


async def test_a_compressed_icon_is_one_picture(tmp_path: Path) -> None:
    body = bulk_of(tmp_path, iconed(JPEG2000), "00880200/0/7FE00010", ANY)
    ((media, content),) = await parts(body)
    assert media == f"image/jp2; transfer-syntax={JPEG2000}"
    assert content.rstrip(b"\0") == samples.codestreams(1)[0]
    with pytest.raises(NotAcceptable, match=RLELossless):
        bulk_of(tmp_path, iconed(RLELossless), "00880200/0/7FE00010", parse_accept(["image/jpeg"]))


def fragmented(*fragments: bytes, tag: int = 0x7FE00010, frames: int = 1) -> bytes:
    """JPEG pixel data, or another value, in these fragments, the offset table first."""
    ds = samples.pictured(samples.identified(), b"", bits=8, frames=frames)
    del ds.PixelData
    value = b"".join(plain(0xFFFEE000, fragment) for fragment in fragments) + plain(0xFFFEE0DD, b"")
    return samples.written(ds, JPEGBaseline8Bit) + el(tag, "OB", value, length=0xFFFFFFFF)


@pytest.mark.parametrize(
    ("data", "path", "content"),
    [
        (fragmented(b"", b"one", b"more", b"then", frames=2), "7FE00010", b"onemorethen"),
        (fragmented(b"", b"pictures", tag=0x7FE10010), "7FE10010", b"pictures"),
        (fragmented(b""), "7FE00010", b""),
        (fragmented(), "7FE00010", b""),
    ],
    ids=["frames that nothing tells apart", "a private value", "no fragments", "not even a table"],
)
async def test_fragments_that_are_no_frames_are_one_part(tmp_path: Path, data: bytes, path: str, content: bytes) -> None:
    assert await located(bulk_of(tmp_path, data, path, ANY)) == [(JPEG, path, content)]
    body = bulk_of(tmp_path, data, path, parse_accept(["image/jpeg"]))
    assert (body.length, await read(body)) == (len(content), content)


def test_bulk_data_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(NotAcceptable, match="application/octet-stream"):
        bulk_of(tmp_path, samples.ct(), "7FE00010", parse_accept(["image/jpeg"]))


async def test_each_form_of_a_value_has_a_tag_of_its_own(tmp_path: Path) -> None:
    data = samples.mr()
    tags = []
    for path, accept in (("7FE00010", FRAME), ("7FE00010", FRAMES), ("00191001", FRAME), ("00191001", FRAMES)):
        body = bulk_of(tmp_path, data, path, accept)
        assert (body.modified, body.weak) == (1000.0, accept is FRAMES)
        tags.append(body.etag)
        await body.aclose()
    assert None not in tags and len(set(tags)) == 4


async def test_every_uri_of_the_model_leads_to_bytes(tmp_path: Path) -> None:
    """What metadata promises, bulk data keeps."""
    for name, make in samples.ALL.items():
        (blob,) = resting(tmp_path, make())
        (document,) = Shelf([blob]).documents([0])
        for path in uris(json.loads(document)):
            assert await read(bulk_body(laid(blob), path, ANY, asyncio.to_thread, Limits())), (name, path)


def uris(model: dict[str, dict[str, Any]]) -> list[str]:
    """What follows ``/bulkdata/`` in each BulkDataURI."""
    found = [attribute["BulkDataURI"].partition("/bulkdata/")[2] for attribute in model.values() if "BulkDataURI" in attribute]
    for attribute in model.values():
        if attribute["vr"] == "SQ":
            found += [uri for value in attribute.get("Value", ()) for uri in uris(value)]
    return found


# -- all values


async def test_one_instance_has_a_body_of_known_length(tmp_path: Path) -> None:
    shelf = Shelf(resting(tmp_path, iconed(JPEG2000)))
    body = await all_of(shelf, ANY, samples.STUDY, samples.SERIES, samples.SOP)
    assert body.media_type.startswith('multipart/related; type="image/jp2"; boundary=')
    assert body.length is not None and (body.weak, body.modified, body.instances) == (True, 1000.0, 1)
    places = [(media, where) for media, where, _ in await located(body)]
    media = f"image/jp2; transfer-syntax={JPEG2000}"
    assert places == [(media, "bulkdata/00880200/0/7FE00010"), (media, "bulkdata/7FE00010")]


@pytest.mark.parametrize(
    ("uids", "above"),
    [(("1.1",), "series/1.1.1/instances/1.1.1.1/"), (("1.1", "1.1.1"), "instances/1.1.1.1/"), (("1.1", "1.1.1", "1.1.1.1"), "")],
)
async def test_locations_are_relative_to_what_was_asked_for(tmp_path: Path, uids: tuple[str, ...], above: str) -> None:
    shelf = Shelf(resting(tmp_path, dicom()))
    assert await located(await all_of(shelf, ANY, *uids)) == [(OCTETS, f"{above}bulkdata/7FE00010", bytes(range(32)))]


async def test_instances_come_in_their_order_and_those_without_bulk_data_are_passed_over(tmp_path: Path) -> None:
    files = [samples.report(), samples.mr(), samples.report(), samples.big_endian(), samples.encapsulated(2), samples.deflated()]
    shelf = Shelf(resting(tmp_path, *files))
    body = await all_of(shelf)
    assert (body.length, body.modified, body.instances) == (None, 1005.0, 6)
    found = await located(body)
    assert [media for media, _, _ in found] == [OCTETS, OCTETS, OCTETS, JPEG, JPEG, OCTETS]
    assert [str(where).rpartition("/")[2] for _, where, _ in found] == ["00191001"] + ["7FE00010"] * 5
    contents = [content.rstrip(b"\0") if media == JPEG else content for media, _, content in found]
    mr, big_endian = samples.counted(384), samples.counted(64)
    assert contents == [b"\x01\x02\x03\x04", mr, big_endian, *samples.codestreams(2), samples.counted(32)]
    assert shelf.looked == [1, 3, 4, 5]


@pytest.mark.parametrize("make", [iconed, lambda syntax: samples.mr()], ids=["icon", "private"])
async def test_pixel_data_is_that_of_the_top_level(tmp_path: Path, make: Callable[[str], bytes]) -> None:
    shelf = Shelf(resting(tmp_path, make(JPEG2000)))
    found = await located(await all_of(shelf, view=View.PIXELDATA))
    assert [str(where).partition("/bulkdata/")[2] for _, where, _ in found] == ["7FE00010"]


@pytest.mark.parametrize(("keyword", "vr", "path"), [("FloatPixelData", "OF", "7FE00008"), ("DoubleFloatPixelData", "OD", "7FE00009")])
async def test_pixels_that_are_floats_are_pixel_data(tmp_path: Path, keyword: str, vr: str, path: str) -> None:
    ds = samples.pictured(samples.identified(), b"")
    del ds.PixelData
    setattr(ds, keyword, samples.counted(64))
    ds[keyword].VR = vr
    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian):
        shelf = Shelf(resting(tmp_path, samples.written(ds, syntax)))
        ((_, where, content),) = await located(await all_of(shelf, view=View.PIXELDATA))
        assert str(where).endswith(f"bulkdata/{path}")
        size = 1 if syntax == ImplicitVRLittleEndian else {"OF": 4, "OD": 8}[vr]
        words = [samples.counted(64)[start : start + size] for start in range(0, 64, size)]
        assert content == b"".join(word[::-1] for word in words)


@pytest.mark.parametrize(
    ("view", "make", "sentence"),
    [(View.BULKDATA, samples.report, "no bulk data"), (View.PIXELDATA, samples.report, "no pixel data")],
)
async def test_where_there_is_nothing_it_is_said(tmp_path: Path, view: View, make: Callable[[], bytes], sentence: str) -> None:
    shelf = Shelf(resting(tmp_path, *[make() for _ in range(40)]))
    with pytest.raises(NotFound, match=f"the study has {sentence}"):
        await all_of(shelf, view=view)
    assert shelf.looked == []


# -- which forms

MIXED: list[Callable[[], bytes]] = [samples.ct, samples.encapsulated, samples.implicit]


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "multipart/related",
        'multipart/related; type="*/*"',
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        'multipart/related; type="application/octet-stream", multipart/related; type="image/jpeg"',
        f'multipart/related; type="image/*"; transfer-syntax={JPEGBaseline8Bit}, multipart/related; type="application/*"',
    ],
)
@pytest.mark.parametrize("view", [View.BULKDATA, View.PIXELDATA])
async def test_forms_of_a_mixed_study(tmp_path: Path, accept: str, view: View) -> None:
    shelf = Shelf(resting(tmp_path, *[make() for make in MIXED]))
    found = await parts(await all_of(shelf, parse_accept([accept]), view=view))
    assert [media for media, _ in found] == [OCTETS, JPEG, JPEG, JPEG, OCTETS]
    assert shelf.looked == [0, 1, 2]  # nothing was looked at only to know whether it can be given


@pytest.mark.parametrize(
    ("accept", "names"),
    [
        ('multipart/related; type="application/octet-stream"', JPEGBaseline8Bit),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1', JPEGBaseline8Bit),
        ('multipart/related; type="image/jpeg"', "application/octet-stream"),
        ('multipart/related; type="image/jp2"', "1.2.840.10008.1.2.1"),
        ("application/octet-stream; transfer-syntax=*", "multipart/related"),
        ("image/jpeg", JPEGBaseline8Bit),
        ("text/html", JPEGBaseline8Bit),
    ],
)
@pytest.mark.parametrize("view", [View.BULKDATA, View.PIXELDATA])
async def test_what_cannot_be_given_in_any_form_is_refused_before_the_first_byte(
    tmp_path: Path, accept: str, names: str, view: View
) -> None:
    shelf = Shelf(resting(tmp_path, *[make() for make in MIXED]))
    with pytest.raises(NotAcceptable) as caught:
        await all_of(shelf, parse_accept([accept]), view=view)
    assert names in caught.value.message and "ask for multipart/related" in caught.value.message
    assert open_below(tmp_path) == 0


async def test_only_what_is_in_doubt_is_looked_at_before(tmp_path: Path) -> None:
    shelf = Shelf(resting(tmp_path, samples.ct(), samples.implicit(), samples.ct()))
    assert len(await parts(await all_of(shelf, NATIVE))) == 3
    assert shelf.looked == [0, 1, 2]
    shelf = Shelf(resting(tmp_path, samples.ct(), samples.encapsulated(), samples.ct()))
    with pytest.raises(NotAcceptable):
        await all_of(shelf, NATIVE)
    assert shelf.looked == [1]


async def test_who_takes_only_pictures_gets_a_study_of_pictures(tmp_path: Path) -> None:
    private = samples.pictured(samples.identified(), encapsulate(samples.codestreams(1)), bits=8)
    private["PixelData"].is_undefined_length = True
    private.private_block(0x0019, "GATEWAY TEST", create=True).add_new(0x01, "OB", b"\x01\x02")
    pictures = [samples.encapsulated(), samples.encapsulated(1, 3)]
    assert len(await parts(await all_of(Shelf(resting(tmp_path, *pictures, samples.report())), JPEGS))) == 4
    with_private = Shelf(resting(tmp_path, *pictures, samples.written(private, JPEGBaseline8Bit)))
    with pytest.raises(NotAcceptable, match="not compressed"):
        await all_of(with_private, JPEGS)
    assert len(await parts(await all_of(with_private, JPEGS, view=View.PIXELDATA))) == 5


async def test_the_tag_hangs_on_the_instances_the_view_and_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = resting(tmp_path, samples.ct(), samples.implicit())

    async def etag(blobs: list[Blob], view: View = View.BULKDATA) -> str | None:
        body = await all_of(Shelf(blobs), view=view)
        await body.aclose()
        return body.etag

    tags = [await etag(blobs), await etag(blobs, View.PIXELDATA), await etag(blobs[:1]), await etag(blobs[::-1])]
    assert None not in tags and len(set(tags)) == 4
    assert await etag(blobs) == tags[0]
    monkeypatch.setattr(bulk, "MODEL", "another writer")
    assert await etag(blobs) not in tags


# -- how it goes out


async def test_instances_are_looked_into_when_it_is_their_turn(tmp_path: Path) -> None:
    files = [dicom(sop=f"1.1.1.{number}", Rows=512, Columns=SMALL // 512, PixelData=bytes(2 * SMALL)) for number in range(60)]
    shelf = Shelf(resting(tmp_path, *files))
    body = await all_of(shelf)
    assert shelf.looked == [0]
    most, taken = 0, 0
    async for piece in body.pieces:
        most = max(most, open_below(tmp_path))
        if isinstance(piece, FileSlice):
            close_pieces([piece])
            taken += 1
            assert len(shelf.looked) <= taken + 16
    assert (taken, shelf.looked) == (60, list(range(60)))
    assert 0 < most <= 16
    assert open_below(tmp_path) == 0


async def test_many_documents_are_not_read_in_one_hop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(resting(tmp_path, *[samples.report() for _ in range(40)]))
    asked: list[int] = []
    documents = Shelf.documents

    def counted(self: Shelf, some: Sequence[int]) -> list[bytes]:
        asked.append(len(some))
        return documents(self, some)

    monkeypatch.setattr(Shelf, "documents", counted)
    hops: list[partial[object]] = []

    async def run(work: Any) -> Any:
        hops.append(work)
        return await asyncio.to_thread(work)

    with pytest.raises(NotFound):
        await all_bulk_data(named(samples.STUDY), View.BULKDATA, shelf, ANY, run, Limits())
    assert asked == [bulk.LOOK, bulk.LOOK, 8]
    assert len(hops) > len(asked)


@pytest.mark.parametrize("taken", range(6))
async def test_a_reader_that_leaves_leaves_nothing_open(tmp_path: Path, taken: int) -> None:
    files = [dicom(sop=f"1.1.1.{number}", Rows=512, Columns=SMALL // 512, PixelData=bytes(2 * SMALL)) for number in range(20)]
    body = await all_of(Shelf(resting(tmp_path, *files)))
    for _ in range(taken):
        close_pieces([await anext(body.pieces)])
    await body.aclose()
    assert open_below(tmp_path) == 0
