"""Metadata and bulk data over real sockets: every form that clients send, and what attackers get."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest

from gateway.dicom.dictionary import keyword
from gateway.dicomweb.nativexml import native_xml
from gateway.errors import Busy
from gateway.streams import Budget
from gateway.web.bulkparts import UNIT
from tests.web.conftest import Lines, Serve
from tests.web.gate import BASE, STORED, Answer, Gate

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"
JPEG = bytes(imagecodecs.jpeg8_encode(np.zeros((16, 16, 3), np.uint8), colorspace="RGB", outcolorspace="YCBCR", subsampling="422"))
BASELINE = "1.2.840.10008.1.2.4.50"
SHAPE = {"00280002": 1, "00280010": 4, "00280011": 4, "00280100": 16, "00280101": 16, "00280102": 15, "00280103": 0}
INSTANCE = "/studies/1.1/series/1.1.1/instances/{}"

Part = tuple[dict[str, str], bytes]


def instance(sop: str = "1.1.1.1", **more: Any) -> dict[str, Any]:
    uids = {"00080016": "1.2.840.10008.5.1.4.1.1.7", "00080018": sop, "0020000D": "1.1", "0020000E": "1.1.1"}
    return {key: {"vr": "UI", "Value": [uid]} for key, uid in uids.items()} | {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}} | more


def picture(sop: str = "1.1.1.1", label: str = "pixels") -> dict[str, Any]:
    shape = {key: {"vr": "US", "Value": [number]} for key, number in SHAPE.items()}
    colours = {"00280004": {"vr": "CS", "Value": ["MONOCHROME2"]}}
    return instance(sop) | shape | colours | {"7FE00010": {"vr": "OW", "BulkDataURI": label}}


def metadata(*instances: Any, kind: str = JSON) -> Part:
    return {"Content-Type": kind}, json.dumps(instances).encode()


def bulk(data: bytes = bytes(32), label: str = "pixels", media: str = OCTETS) -> Part:
    return {"Content-Type": media, "Content-Location": label}, data


def body(*parts: Part, end: bytes = b"--b--") -> bytes:
    heads = ["".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() for headers, _ in parts]
    return b"".join(b"--b\r\n" + head + b"\r\n" + data + b"\r\n" for head, (_, data) in zip(heads, parts, strict=True)) + end


async def send(gate: Gate, *parts: Part, kind: str = JSON, path: str = "/studies", base: str = BASE, end: bytes = b"--b--") -> Answer:
    return await gate.ask("POST", path, {"Content-Type": f'multipart/related; type="{kind}"; boundary=b'}, body(*parts, end=end), base)


async def stored(gate: Gate, sop: str = "1.1.1.1", base: str = BASE) -> pydicom.Dataset:
    answer = await gate.get(INSTANCE.format(sop), STORED, base=base)
    assert answer.status == 200, answer.body
    return pydicom.dcmread(io.BytesIO(answer.body))


def failures(answer: Answer) -> list[tuple[int, str]]:
    """Reason and comment of each failure."""
    items = answer.json.get("00081198", {}).get("Value", []) + answer.json.get("0008119A", {}).get("Value", [])
    return [(item["00081197"]["Value"][0], item["00000902"]["Value"][0]) for item in items]


# -- what is stored


@pytest.mark.parametrize(
    "base", [BASE, "/stores/default/dicom-web", "/v1/projects/local/locations/local/datasets/default/dicomStores/default/dicomWeb"]
)
async def test_the_guides_example_works_on_every_store_route(gate: Gate, base: str) -> None:
    """`cat opening.file instance.json middle.file image.jpg closing.file`, as Google's guide has it."""
    given: dict[str, Any] = {"00020010": {"vr": "UI", "Value": [BASELINE]}, "00280004": {"vr": "CS", "Value": ["YBR_FULL_422"]}}
    given["7FE00010"] = {"vr": "OB", "BulkDataURI": "jpeg-image"}
    opening = b"--DICOMwebBoundary\r\nContent-Type: application/dicom+json\r\n\r\n"
    middle = b"\r\n--DICOMwebBoundary\r\nContent-Location: jpeg-image\r\nContent-Type: image/jpeg; transfer-syntax=" + BASELINE.encode()
    request = opening + json.dumps([instance() | given], indent=2).encode() + middle + b"\r\n\r\n" + JPEG + b"\r\n--DICOMwebBoundary--"
    media = 'multipart/related; type="application/dicom+json"; boundary=DICOMwebBoundary'
    answer = await gate.ask("POST", "/studies", {"Content-Type": media}, request, base)
    assert (answer.status, answer.headers["Content-Type"]) == (200, XML if base.startswith("/v1") else JSON)
    ds = await stored(gate, base=base)
    assert (ds.file_meta.TransferSyntaxUID, ds.Rows, ds.Columns, ds.SamplesPerPixel) == (BASELINE, 16, 16, 3)
    assert (ds.PhotometricInterpretation, ds.BitsAllocated, ds.PlanarConfiguration) == ("YBR_FULL_422", 8, 0)
    frame = await gate.get(INSTANCE.format("1.1.1.1") + "/frames/1", "image/jpeg", base=base)
    assert frame.body.rstrip(b"\0") == JPEG.rstrip(b"\0")


@pytest.mark.parametrize("quoted", [True, False])
async def test_a_report_needs_no_bulk_data_and_no_multipart(gate: Gate, quoted: bool) -> None:
    text = {"0040A160": {"vr": "UT", "Value": ["Befund: ä\\b"]}}
    report = instance() | {"0040A730": {"vr": "SQ", "Value": [text]}}
    assert (await gate.post(json.dumps([report] if quoted else report).encode(), JSON)).status == 200
    assert (await stored(gate)).ContentSequence[0].TextValue == "Befund: ä\\b"
    assert (await gate.post(native_xml(report | instance("1.1.1.2"), keyword), XML)).status == 200
    assert (await stored(gate, "1.1.1.2")).ContentSequence[0].TextValue == "Befund: ä\\b"


async def test_several_instances_in_one_and_in_several_parts(gate: Gate) -> None:
    parts = metadata(picture("1.1.1.1", "a"), picture("1.1.1.2", "b")), metadata(picture("1.1.1.3", "c"))
    bulks = [bulk(bytes([number]) * 32, label) for number, label in enumerate("abc")]
    assert (await send(gate, *parts, *bulks)).status == 200
    for number in range(3):
        assert (await stored(gate, f"1.1.1.{number + 1}")).PixelData == bytes([number]) * 32


async def test_native_xml_is_one_part_an_instance(gate: Gate) -> None:
    parts = [({"Content-Type": XML}, native_xml(picture(sop, sop), keyword)) for sop in ("1.1.1.1", "1.1.1.2")]
    assert (await send(gate, *parts, bulk(b"\1" * 32, "1.1.1.1"), bulk(b"\2" * 32, "1.1.1.2"), kind=XML)).status == 200
    assert (await stored(gate, "1.1.1.2")).PixelData == b"\2" * 32


async def test_bulk_data_may_come_first_and_parts_without_type_are_what_the_request_says(gate: Gate) -> None:
    assert (await send(gate, bulk(), metadata(picture()))).status == 200
    untyped: Part = {}, json.dumps([picture("1.1.1.2")]).encode()
    assert (await send(gate, untyped, ({"Content-Location": "pixels"}, bytes(32)))).status == 200
    assert (await stored(gate, "1.1.1.2")).PixelData == bytes(32)


@pytest.mark.parametrize("size", [2 * UNIT, 5 * UNIT + 1])
async def test_large_bulk_data_go_through_the_disk_and_leave_it(gate: Gate, size: int, tmp_path: Any) -> None:
    data = os.urandom(size)
    document = instance() | {"00420011": {"vr": "OB", "BulkDataURI": "document"}}
    assert (await send(gate, metadata(document), bulk(data, "document", "application/pdf"))).status == 200
    assert (await stored(gate)).EncapsulatedDocument == data + b"\0" * (size % 2)
    assert list((tmp_path / "_bulk").iterdir()) == []
    assert (await gate.metrics())["gateway_bulk_bytes"] == 0 == (await gate.metrics())["gateway_buffered_bytes"]


# -- what is not


async def test_what_is_wrong_with_one_fails_it_alone(gate: Gate, lines: Lines) -> None:
    nameless = {key: value for key, value in instance("1.1.1.2").items() if key != "0020000E"}
    bad = instance("1.1.1.3") | {"00100010": {"vr": "PN", "Value": "Doe^Jane"}}
    missing = picture("1.1.1.4", "nobody")
    answer = await send(gate, metadata(picture(), nameless, bad, missing), bulk(), bulk(label="unused"))
    assert answer.status == 202 and len(answer.json["00081199"]["Value"]) == 1
    about = [comment[:20].strip(": ") for _, comment in failures(answer)]
    assert about == ["part 1: (0020,000E)", "part 1: (0010,0010)", "part 1: (7FE0,0010)", "part 3: no instance"]
    assert {reason for reason, _ in failures(answer)} == {0xC000}
    assert b"Doe" not in answer.body and "Doe" not in str(answer.headers) + str(lines)


async def test_a_part_that_nobody_refers_to_is_told(gate: Gate) -> None:
    answer = await send(gate, metadata(picture()), bulk(), bulk(label="unused"), ({"Content-Type": OCTETS}, b"no label"))
    assert answer.status == 202
    assert [comment.partition(":")[0] for _, comment in failures(answer)] == ["part 4"]
    answer = await send(gate, metadata(picture()), bulk(), bulk(label="unused"))
    assert [comment for _, comment in failures(answer)] == ["part 3: no instance refers to the Content-Location of this part"]


async def test_a_study_of_the_url_counts(gate: Gate) -> None:
    answer = await send(gate, metadata(picture()), bulk(), path="/studies/1.7")
    assert (answer.status, failures(answer)[0][0]) == (409, 0x0110)
    assert (await send(gate, metadata(picture()), bulk(), path="/studies/1.1")).status == 200


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"[",
        b"not JSON",
        b"[1]",
        b"[[[[",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'[{"0020000D":' + b"[" * 3000 + b"]" * 3000 + b"}]",
        b"\xff\xfe",
        b'["',
    ],
)
async def test_metadata_that_cannot_be_read(plain: Gate, part: bytes) -> None:
    answer = await send(plain, ({"Content-Type": JSON}, part), bulk())
    assert answer.status == 409 and failures(answer)[0][0] == 0xC000
    assert (await plain.post(part, JSON)).status == 409


@pytest.mark.parametrize(
    "part", [b"", b"<a", b"<!DOCTYPE a [<!ENTITY b 'c'>]><NativeDicomModel>&b;</NativeDicomModel>", b"<NativeDicomModel/>"]
)
async def test_xml_that_cannot_be_read(plain: Gate, part: bytes) -> None:
    answer = await send(plain, ({"Content-Type": XML}, part), kind=XML)
    assert answer.status == 409 and failures(answer)[0][0] == 0xC000


async def test_no_part_and_no_instance_are_bad_requests(plain: Gate) -> None:
    assert (await send(plain)).status == 400
    answer = await send(plain, metadata())
    assert (answer.status, answer.json["detail"]) == (400, "the request names no instance")


@pytest.mark.parametrize(("end", "status"), [(100, 409), (-20, 202), (-6, 202), (-3, 202)])
async def test_a_request_that_ends_early_stores_only_what_is_whole(gate: Gate, end: int, status: int) -> None:
    whole = body(metadata(picture(), instance("1.1.1.2")), bulk())
    answer = await gate.post(whole[:end], f'multipart/related; type="{JSON}"; boundary=b')
    assert answer.status == status and ["cut off" in comment for _, comment in failures(answer)] == [True]
    assert (await gate.get(INSTANCE.format("1.1.1.1"), STORED)).status == 404
    assert (await gate.get(INSTANCE.format("1.1.1.2"), STORED)).status == (404 if status == 409 else 200)


async def test_ten_thousand_references_to_one_part(plain: Gate) -> None:
    """Some are harmless; what would fill the disk is refused, whatever the request weighs."""
    item = {"00091010": {"vr": "OB", "BulkDataURI": "x"}}
    document = instance() | {"0040A730": {"vr": "SQ", "Value": [item] * 10_000}}
    assert (await send(plain, metadata(document), bulk(b"ab", "x"))).status == 200
    answer = await send(plain, metadata(document | instance("1.1.1.2")), bulk(bytes(10_000), "x"))
    assert (answer.status, failures(answer)[0][0]) == (507, 0xA700)


async def test_many_parts_under_one_label(plain: Gate) -> None:
    answer = await send(plain, metadata(picture()), *[bulk(bytes(32))] * 5000)
    assert answer.status == 200 and (await stored(plain)).NumberOfFrames == 5000


async def test_a_uri_is_never_fetched(plain: Gate) -> None:
    for uri in (f"http://127.0.0.1:{plain.port}/version", "file:///etc/passwd", "../../etc/passwd"):
        answer = await send(plain, metadata(picture(label=uri)))
        assert (answer.status, failures(answer)[0][0]) == (409, 0xC000)
    assert "/version" not in str(await plain.metrics())


async def test_metadata_and_bulk_data_have_bounds(serve: Serve) -> None:
    gate = await serve(backend="memory", limits={"header_bytes": 20_000, "bulk_bytes": 1 << 20})
    answer = await send(gate, metadata(instance() | {"00204000": {"vr": "LT", "Value": ["x" * 20_000]}}))
    assert answer.status == 413 and "limits.header_bytes" in answer.detail
    answer = await send(gate, metadata(picture(), instance("1.1.1.2")), bulk(bytes((1 << 20) + 1)))
    assert answer.status == 202 and [reason for reason, _ in failures(answer)] == [0xA700]
    answer = await send(gate, metadata(picture()), bulk(bytes((1 << 20) + 1)))
    assert answer.status == 507 and "limits.bulk_bytes" in answer.headers["Warning"]
    assert (await send(gate, metadata(picture()), bulk())).status == 200
    assert (await gate.metrics())["gateway_bulk_bytes"] == 0


async def test_instances_have_a_bound(serve: Serve) -> None:
    gate = await serve(backend="memory", limits={"parts": 3})
    answer = await send(gate, metadata(instance(), instance("1.1.1.2")), metadata(*[{}] * 2))
    assert answer.status == 413 and "limits.parts" in answer.detail
    assert (await gate.get(INSTANCE.format("1.1.1.1"), STORED)).status == 404


async def test_a_full_house_is_told_to_come_back(plain: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Busy("too many")

    monkeypatch.setattr(Budget, "take", full)
    assert (await send(plain, metadata(picture()), bulk())).status == 503


async def test_a_disk_that_is_full_fails_who_needs_it(plain: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "no room")

    monkeypatch.setattr(os, "pwrite", full)
    answer = await send(plain, metadata(picture(), instance("1.1.1.2")), bulk(bytes(UNIT)), bulk(bytes(UNIT)))
    assert answer.status == 202 and failures(answer)[0][0] == 0xA700
    monkeypatch.undo()
    assert (await stored(plain, "1.1.1.2")).SOPInstanceUID == "1.1.1.2"


async def test_an_encoded_part_is_not_misread(plain: Gate) -> None:
    headers, data = bulk()
    answer = await send(plain, metadata(picture()), (headers | {"Content-Transfer-Encoding": "base64"}, data))
    assert answer.status == 409 and "Content-Transfer-Encoding" in str(answer.json)
