"""What every backend must do with bulk data and pixel data of studies, series and instances, and with validators; see `test_contract`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any
from urllib.parse import urljoin

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from gateway.backends.base import Backend, Retrieve, View
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.media import Accept, parse_accept
from gateway.errors import NotAcceptable, NotFound
from tests import samples
from tests.backends.conftest import Make
from tests.backends.made import ABSENT, AS_STORED, FIRST, FRAME, FRAMES, JSON, SINGLE, dicom, located, named, read, store, study, wants

ANY = parse_accept(["*/*"])
NATIVE = parse_accept(['multipart/related; type="application/octet-stream"'])
XML = parse_accept(['multipart/related; type="application/dicom+xml"'])
UIDS = (samples.STUDY, samples.SERIES, samples.SOP)
COMPRESSED = [JPEGBaseline8Bit, JPEG2000Lossless]
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, *COMPRESSED]


def rich(syntax: str, number: int = 1, series: str = samples.SERIES) -> bytes:
    """A picture with bulk data at every depth: an icon, a waveform two sequences down, private OB, and UN."""
    frames = samples.codestreams(3)
    pixels = encapsulate(frames, 2) if syntax in COMPRESSED else samples.counted(96)
    ds = samples.pictured(
        samples.identified(sop=f"1.2.3.4.{number}", series=series), pixels, bits=8 if syntax in COMPRESSED else 16, frames=3
    )
    ds["PixelData"].is_undefined_length = syntax in COMPRESSED
    icon, wave, channel = Dataset(), Dataset(), Dataset()
    icon.Rows = icon.Columns = 4
    icon.BitsAllocated, icon.SamplesPerPixel = 8, 1
    icon.PixelData = encapsulate(samples.codestreams(1), 2) if syntax in COMPRESSED else samples.counted(16)
    icon["PixelData"].VR, icon["PixelData"].is_undefined_length = "OB", syntax in COMPRESSED
    channel.WaveformData = samples.counted(8)
    channel["WaveformData"].VR = "OW"
    wave.ReferencedImageSequence, wave.WaveformData = [Dataset(), channel], samples.counted(6)
    wave["WaveformData"].VR = "OB"
    ds.IconImageSequence, ds.WaveformSequence = [icon], [wave]
    block = ds.private_block(0x0019, "GATEWAY TEST", create=True)
    block.add_new(0x01, "OB", b"\x01\x02\x03\x04")
    block.add_new(0x02, "UN", b"unknown ")
    return samples.written(ds, syntax)


PATHS = ["00191001", "00191002", "00880200/0/7FE00010", "54000100/0/00081140/1/54001010", "54000100/0/54001010", "7FE00010"]
"""Where the bulk data of `rich` is, in the order of the data set."""


def uris(found: Any) -> Iterator[str]:
    """Every BulkDataURI of a DICOM JSON value, in its order."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from [value] if key == "BulkDataURI" else uris(value)
    elif isinstance(found, list):
        for value in found:
            yield from uris(value)


async def named_by_metadata(backend: Backend, *uids: str) -> list[str]:
    return list(uris(json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *uids))))))


async def fetched(backend: Backend, uri: str, accept: Accept = ANY) -> list[tuple[str, bytes]]:
    """Content-Type and bytes of each part at a BulkDataURI; their locations are its own."""
    instance, _, path = uri.partition("/bulkdata/")
    _, _, study_uid, _, series, _, sop = instance.split("/")
    parts = await located(await backend.retrieve(wants(View.BULKDATA, accept, study_uid, series, sop, bulk=path)))
    assert {urljoin(uri, str(where)) for _, where, _ in parts} == {uri}
    return [(media, content) for media, _, content in parts]


async def everything(backend: Backend, view: View, *uids: str, accept: Accept = ANY) -> list[tuple[str, list[tuple[str, bytes]]]]:
    """The URL of each value, by its location in the answer, and its parts."""
    url = f"@{named(*uids).path}/{view.value}"
    parts = await located(await backend.retrieve(wants(view, accept, *uids)))
    resolved = [(urljoin(url, str(where)), (media, content)) for media, where, content in parts]
    return [(uri, [part for _, part in found]) for uri, found in groupby(resolved, lambda pair: pair[0])]


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: str(syntax.name))
async def test_all_bulk_data_is_what_the_uris_of_the_metadata_name(backend: Backend, syntax: str, depth: int) -> None:
    await store(backend, rich(syntax))
    uids = ("1.2.3", "1.2.3.4", "1.2.3.4.1")
    found = await everything(backend, View.BULKDATA, *uids[:depth])
    base = f"@{named(*uids).path}/bulkdata/"
    assert [uri for uri, _ in found] == [base + path for path in PATHS]
    assert sorted(uri for uri, _ in found) == sorted(await named_by_metadata(backend, *uids[:depth]))
    for uri, parts in found:
        assert parts == await fetched(backend, uri)


@pytest.mark.parametrize("make_form", samples.ALL.values(), ids=list(samples.ALL))
async def test_bulk_data_of_every_form(backend: Backend, make_form: Callable[[], bytes]) -> None:
    await store(backend, make_form())
    expected = await named_by_metadata(backend, samples.STUDY)
    if not expected:
        with pytest.raises(NotFound, match="no bulk data"):
            await backend.retrieve(wants(View.BULKDATA, ANY, samples.STUDY))
        return
    found = await everything(backend, View.BULKDATA, *UIDS)
    assert sorted(uri for uri, _ in found) == sorted(expected)
    for uri, parts in found:
        assert parts == await fetched(backend, uri)
    ((uri, pixels),) = await everything(backend, View.PIXELDATA, *UIDS)
    assert (uri, pixels) in found and uri.endswith("/7FE00010")


async def test_several_series_of_several_syntaxes(backend: Backend) -> None:
    files = [rich(syntax, number, f"1.2.{series}") for series in (8, 9) for number, syntax in enumerate(SYNTAXES, 10 * series)]
    await store(backend, *files, samples.report())
    for uids in (["1.2.3"], ["1.2.3", "1.2.8"]):
        found = await everything(backend, View.BULKDATA, *uids)
        named_there = await named_by_metadata(backend, *uids)
        assert sorted(uri for uri, _ in found) == sorted(named_there)
        assert len(found) == len(PATHS) * len(SYNTAXES) * (3 - len(uids))
    pixels = await everything(backend, View.PIXELDATA, "1.2.3")
    assert [uri.partition("/bulkdata/")[2] for uri, _ in pixels] == ["7FE00010"] * 2 * len(SYNTAXES)
    assert sorted(len(parts) for _, parts in pixels) == [1] * 8 + [3] * 4


async def test_bulk_data_comes_in_the_order_of_the_metadata(backend: Backend) -> None:
    for number, series in ((29, 9), (19, 9), (28, 8), (18, 8)):
        await store(backend, rich(ExplicitVRLittleEndian, number, f"1.2.{series}"))
    for uids in (["1.2.3"], ["1.2.3", "1.2.8"]):
        order = [uri.partition("/bulkdata/")[0] for uri in await named_by_metadata(backend, *uids)]
        assert [uri.partition("/bulkdata/")[0] for uri, _ in await everything(backend, View.BULKDATA, *uids)] == order


async def test_values_are_little_endian_whatever_they_rest_as(backend: Backend) -> None:
    await store(backend, samples.big_endian(2))
    ((_, [(media, content)]),) = await everything(backend, View.PIXELDATA, *UIDS)
    assert (media, content) == ("application/octet-stream", samples.counted(64))


@pytest.mark.parametrize("view", [View.BULKDATA, View.PIXELDATA])
async def test_who_cannot_take_what_is_stored_is_told_what_that_is(backend: Backend, view: View) -> None:
    await store(backend, rich(ExplicitVRLittleEndian, 1), rich(JPEGBaseline8Bit, 2))
    for text in ('multipart/related; type="application/octet-stream"', 'multipart/related; type="image/png"', "application/octet-stream"):
        with pytest.raises(NotAcceptable, match="ask for multipart/related") as caught:
            await backend.retrieve(wants(view, parse_accept([text]), "1.2.3"))
        assert "1.2.840.10008" in caught.value.message
    both = parse_accept(['multipart/related; type="image/jpeg", multipart/related; type="application/octet-stream"'])
    assert await everything(backend, view, "1.2.3", accept=both) == await everything(backend, view, "1.2.3")
    assert await everything(backend, view, "1.2.3", "1.2.3.4", "1.2.3.4.1", accept=NATIVE)


@pytest.mark.parametrize("view", [View.BULKDATA, View.PIXELDATA])
async def test_what_is_not_there_and_what_was_deleted(backend: Backend, view: View) -> None:
    with pytest.raises(NotFound, match="no such study"):
        await backend.retrieve(wants(view, ANY, "1.1"))
    await store(backend, *study("1.1"))
    with pytest.raises(NotFound, match="no such instance"):
        await backend.retrieve(wants(view, ANY, "1.1", "1.1.1", "9"))
    await backend.delete(named("1.1"))
    with pytest.raises(ABSENT):
        await backend.retrieve(wants(view, ANY, "1.1"))


async def test_a_replaced_instance_gives_its_new_values(make: Make) -> None:
    backend = make(OnDuplicate.REPLACE)
    for number in range(3):
        await store(backend, dicom(PatientName="P" * (number + 1), PixelData=bytes([number]) * 32))
        ((_, [(_, content)]),) = await everything(backend, View.BULKDATA, "1.1")
        assert content == bytes([number]) * 32


# -- validators

KINDS: list[Retrieve] = [
    wants(View.INSTANCES, SINGLE, *FIRST),
    wants(View.INSTANCES, AS_STORED, *FIRST),
    wants(View.INSTANCES, AS_STORED, *FIRST[:2]),
    wants(View.INSTANCES, AS_STORED, *FIRST[:1]),
    wants(View.METADATA, JSON, *FIRST),
    wants(View.METADATA, XML, *FIRST),
    wants(View.METADATA, JSON, *FIRST[:1]),
    wants(View.FRAMES, FRAME, *FIRST, frames=[1]),
    wants(View.FRAMES, FRAMES, *FIRST, frames=[1]),
    wants(View.FRAMES, FRAMES, *FIRST, frames=[1, 1]),
    wants(View.BULKDATA, FRAME, *FIRST, bulk="7FE00010"),
    wants(View.BULKDATA, ANY, *FIRST, bulk="7FE00010"),
    wants(View.BULKDATA, ANY, *FIRST),
    wants(View.BULKDATA, ANY, *FIRST[:1]),
    wants(View.PIXELDATA, ANY, *FIRST),
    wants(View.PIXELDATA, ANY, *FIRST[:2]),
]


async def validators(backend: Backend) -> list[tuple[str | None, bool, float | None]]:
    found = []
    for retrieve in KINDS:
        body = await backend.retrieve(retrieve)
        found.append((body.etag, body.weak, body.modified))
        assert body.weak == body.media_type.startswith("multipart/"), retrieve
        await body.aclose()
    return found


async def test_validators_stay(backend: Backend) -> None:
    """Once there are any: a cache in front of an origin that gives none has its own when it has read all of the body."""
    await store(backend, dicom())
    for (old, _, then), (new, _, now) in zip(await validators(backend), await validators(backend), strict=True):
        assert old in (None, new) and then in (None, now)


async def test_every_body_has_validators(backend: Backend) -> None:
    await store(backend, dicom())
    assert all(etag is not None and modified is not None for etag, _, modified in await validators(backend))


async def test_two_bodies_of_one_instance_have_two_tags(backend: Backend) -> None:
    """Of one URL at the least; an instance, its study and its series each have their own."""
    await store(backend, dicom())
    tags = [
        etag
        for (etag, _, _), retrieve in zip(await validators(backend), KINDS, strict=True)
        if retrieve.resource.instance is not None and etag is not None
    ]
    assert len(set(tags)) == len(tags)


async def test_validators_change_with_the_instance(make: Make) -> None:
    backend = make(OnDuplicate.REPLACE)
    await store(backend, dicom())
    before = await validators(backend)
    await store(backend, dicom(PatientName="Roe^Rick"))
    for (old, _, then), (new, _, now), retrieve in zip(before, await validators(backend), KINDS, strict=True):
        assert old is None or old != new, retrieve
        assert (then is None) == (now is None)
        assert then is None or now is None or now >= then


@pytest.mark.parametrize("view", [View.INSTANCES, View.METADATA, View.BULKDATA, View.PIXELDATA])
async def test_a_study_changes_with_each_of_its_instances(backend: Backend, view: View) -> None:
    retrieve = wants(view, JSON if view is View.METADATA else ANY, "1.1")
    tags = []

    async def look() -> float:
        body = await backend.retrieve(retrieve)
        tags.append(body.etag)
        await body.aclose()
        return body.modified or 0.0

    await store(backend, dicom())
    first = await look()
    await store(backend, dicom("1.1", "1.1.2", "1.1.2.1"))
    assert await look() >= first
    await backend.delete(named("1.1", "1.1.2"))
    assert await look() == first
    assert tags[0] == tags[2]
    assert tags == [None] * 3 or tags[0] != tags[1]


async def test_a_store_that_is_made_anew_has_new_tags(make: Make) -> None:
    """It counts its versions from the start again, and callers remember what the old one said."""
    old = make(OnDuplicate.REPLACE)
    await store(old, dicom())
    before = await validators(old)
    new = make(OnDuplicate.REPLACE)
    await store(new, dicom(PatientName="Roe^Rick"))
    for (then, _, _), (now, _, _) in zip(before, await validators(new), strict=True):
        assert then is None or then != now
