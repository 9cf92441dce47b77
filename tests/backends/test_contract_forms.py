"""What every backend must do with each form that bytes of DICOM come in; see `test_contract`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from gateway.backends.base import Backend, View
from gateway.dicomweb.media import parse_accept
from gateway.errors import NotAcceptable, NotFound
from tests import samples
from tests.backends.made import FRAME, FRAMES, JSON, content, found, identity, parts, read, store, wants

UIDS = (samples.STUDY, samples.SERIES, samples.SOP)
EXPLICIT = parse_accept(["application/dicom"])
every_form = pytest.mark.parametrize("make_form", samples.ALL.values(), ids=list(samples.ALL))


def odd_bytes(syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Three frames of 25 bytes, and one of padding."""
    return samples.written(samples.pictured(samples.identified(), samples.counted(76), 5, 5, 8, 3), syntax)


CODESTREAMS = ["basic offset table", "extended offset table", "no offset table", "fragments"]


@every_form
async def test_every_form_comes_back_bit_identical_and_is_found(backend: Backend, make_form: Callable[[], bytes]) -> None:
    data = make_form()
    assert len((await store(backend, data)).stored) == 1
    assert await content(backend, *UIDS) == data
    assert await found(backend, "instance", "00080018", PatientID="P1", StudyDate="20240131") == [samples.SOP]
    assert await found(backend, "instance", "00083002", includefield="00083002") == [identity(data).transfer_syntax]


@every_form
async def test_metadata_of_every_form_is_the_data_set(backend: Backend, make_form: Callable[[], bytes]) -> None:
    await store(backend, make_form())
    (model,) = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, *UIDS))))
    original = pydicom.dcmread(io.BytesIO(make_form()), force=True)
    expected = {f"{element.tag:08X}" for element in original if element.tag.group != 2}
    assert set(model) - {"00080005"} == expected - {"00080005"}
    assert model["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]


@every_form
async def test_every_value_that_metadata_leaves_out_can_be_asked_for(backend: Backend, make_form: Callable[[], bytes]) -> None:
    await store(backend, make_form())
    (model,) = json.loads(await read(await backend.retrieve(wants(View.METADATA, JSON, samples.STUDY))))
    uris = [attribute["BulkDataURI"] for attribute in model.values() if "BulkDataURI" in attribute]
    assert ("7FE00010" in model) == bool(uris)
    for uri in uris:
        base, _, path = uri.partition("/bulkdata/")
        assert base == "@/studies/{}/series/{}/instances/{}".format(*UIDS)
        assert await read(await backend.retrieve(wants(View.BULKDATA, parse_accept(["*/*"]), *UIDS, bulk=path)))


@pytest.mark.parametrize(
    ("make_form", "frames"),
    [
        (samples.mr, [samples.counted(384)[start : start + 128] for start in (0, 128, 256)]),
        (lambda: samples.big_endian(2), [samples.counted(64)[:32], samples.counted(64)[32:]]),
        (lambda: samples.deflated(2), [samples.counted(64)[:32], samples.counted(64)[32:]]),
        (odd_bytes, [samples.counted(76)[start : start + 25] for start in (0, 25, 50)]),
        (lambda: odd_bytes(ImplicitVRLittleEndian), [samples.counted(76)[start : start + 25] for start in (0, 25, 50)]),
    ],
    ids=["words", "big endian", "deflated", "bytes", "implicit"],
)
async def test_native_frames(backend: Backend, make_form: Callable[[], bytes], frames: list[bytes]) -> None:
    await store(backend, make_form())
    body = await backend.retrieve(wants(View.FRAMES, FRAMES, *UIDS, frames=range(1, len(frames) + 1)))
    assert await parts(body) == [("application/octet-stream", frame) for frame in frames]
    single = await backend.retrieve(wants(View.FRAMES, FRAME, *UIDS, frames=[2]))
    assert await read(single) == frames[1]


async def test_frames_of_single_bits(backend: Backend) -> None:
    await store(backend, samples.segmentation())
    bits = ["01"[(index * index) % 7 < 3] for index in range(105)]
    for number in (1, 2, 3):
        found_bytes = await read(await backend.retrieve(wants(View.FRAMES, FRAME, *UIDS, frames=[number])))
        text = "".join(f"{byte:08b}"[::-1] for byte in found_bytes)
        assert text == "".join(bits[35 * number - 35 : 35 * number]).ljust(40, "0")


@pytest.mark.parametrize("form", CODESTREAMS)
async def test_frames_of_codestreams(backend: Backend, form: str) -> None:
    await store(backend, samples.ALL[form]())
    count = 4 if form == "fragments" else 3
    body = await backend.retrieve(wants(View.FRAMES, FRAMES, *UIDS, frames=range(1, count + 1)))
    assert [found_bytes.rstrip(b"\0") for _, found_bytes in await parts(body)] == samples.codestreams(count)
    with pytest.raises(NotFound, match=f"has {count} frames"):
        await backend.retrieve(wants(View.FRAMES, FRAMES, *UIDS, frames=[count + 1]))


@pytest.mark.parametrize("form", ["implicit", "big endian", "deflated"])
async def test_native_forms_go_out_as_explicit_little_endian(backend: Backend, form: str) -> None:
    data = samples.ALL[form]()
    await store(backend, data)
    body = await backend.retrieve(wants(View.INSTANCES, EXPLICIT, *UIDS))
    made, original = pydicom.dcmread(io.BytesIO(await read(body))), pydicom.dcmread(io.BytesIO(data))
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert made.pixel_array.tolist() == original.pixel_array.tolist()
    del made.PixelData, original.PixelData
    assert made == original


@pytest.mark.parametrize("form", CODESTREAMS)
@pytest.mark.parametrize("uids", [UIDS, UIDS[:1]])
async def test_compressed_instances_are_not_given_as_explicit_little_endian(backend: Backend, form: str, uids: tuple[str, ...]) -> None:
    await store(backend, samples.ALL[form]())
    accept = EXPLICIT if len(uids) == 3 else parse_accept(['multipart/related; type="application/dicom"'])
    with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
        await backend.retrieve(wants(View.INSTANCES, accept, *uids))


async def test_a_report_has_no_frames(backend: Backend) -> None:
    await store(backend, samples.report())
    with pytest.raises(NotFound, match="no pixel data"):
        await backend.retrieve(wants(View.FRAMES, FRAME, *UIDS, frames=[1]))
