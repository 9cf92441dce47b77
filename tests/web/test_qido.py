"""Search Transaction over real sockets: statuses, pages, warnings, and whose URLs are in the results."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.web import qido
from tests.backends.made import dicom, study
from tests.web.conftest import Serve
from tests.web.gate import BASE, INSTANCE, Answer, Gate, parts_of, read_answer, request

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


async def uids(gate: Gate, path: str, tag: str = "0020000D") -> list[str]:
    return [result[tag]["Value"][0] for result in (await gate.get(path)).json]


def urls(found: Any) -> list[str]:
    return [result["00081190"]["Value"][0] for result in found]


async def filled(gate: Gate, studies: int = 3) -> Gate:
    for number in range(1, studies + 1):
        await gate.store(*study(f"1.{number}", series=2, instances=2))
    return gate


async def test_nothing_found_is_204_without_a_body(gate: Gate) -> None:
    for path in ("/studies", "/series", "/instances", "/studies/9/series", "/studies/9/instances", "/studies/9/series/9/instances"):
        answer = await gate.get(path)
        assert (answer.status, answer.body, "Content-Type" in answer.headers) == (204, b"", False)


async def test_every_level_below_every_parent(gate: Gate) -> None:
    await filled(gate)
    assert await uids(gate, "/studies") == ["1.1", "1.2", "1.3"]
    assert len(await uids(gate, "/series")) == 6
    assert len(await uids(gate, "/instances")) == 12
    assert await uids(gate, "/studies/1.2/series", "0020000E") == ["1.2.1", "1.2.2"]
    assert len(await uids(gate, "/studies/1.2/instances")) == 4
    assert await uids(gate, "/studies/1.2/series/1.2.2/instances", "00080018") == ["1.2.2.1", "1.2.2.2"]
    assert await uids(gate, "/studies/1.2/series?PatientName=doe*&00200011=2", "0020000E") == ["1.2.2"]


async def test_attributes_are_asked_for_by_keyword_tag_and_encoded_comma(gate: Gate) -> None:
    await gate.store(dicom("1.1", "1.1.1", "1.1.1.1", PatientID="A/B", StudyDescription="Head & neck"), dicom("1.2", "1.2.1", "1.2.1.1"))
    assert await uids(gate, "/studies?PatientID=A%2FB&StudyDescription=Head%20%26%20neck") == ["1.1"]
    assert await uids(gate, "/studies?StudyInstanceUID=1.1%2C1.2") == ["1.1", "1.2"]
    assert await uids(gate, "/studies?StudyInstanceUID=1.1%5C1.2") == ["1.1", "1.2"]
    (result,) = (await gate.get("/studies?PatientID=A%2FB&includefield=00081030%2C00080060&includefield=all")).json
    assert result["00081030"]["Value"] == ["Head & neck"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 204),
        ("limit=2", 200),
        ("limit=999999", 200),
        ("limit=-1", 400),
        ("limit=x", 400),
        ("limit=%D9%A1", 400),
        ("limit=99999999999", 400),
        ("limit=1&limit=2", 400),
        ("limit=1&limit=1", 200),
        ("offset=3", 204),
        ("offset=1000000", 204),
        ("offset=1000001", 400),
        ("fuzzymatching=maybe", 400),
        ("StudyDate=yesterday", 400),
        ("SOPInstanceUID=1.2", 204),
        ("ProtocolName=x", 204),
        ("Unknown=x&access_token=y&alt=json", 200),
        ("PatientName=x%00y", 400),
        ("PatientName=%ff%fe", 204),
        ("PatientName='%20OR%201%3D1--", 204),
        ("%ff=1&=2&&", 200),
    ],
)
async def test_parameters_and_their_bounds(gate: Gate, query: str, status: int) -> None:
    await filled(gate)
    answer = await gate.get(f"/studies?{query}")
    assert answer.status == status
    if status == 400:
        assert "yesterday" not in answer.detail


async def test_limits_are_settings(serve: Serve) -> None:
    limits = {"results_default": 1, "results_max": 2, "instances_default": 3, "instances_max": 5, "offset_max": 7}
    gate = await filled(await serve(backend="memory", limits=limits))
    assert len(await uids(gate, "/studies")) == 1
    assert len(await uids(gate, "/series?limit=9")) == 2
    assert len(await uids(gate, "/instances")) == 3
    assert len(await uids(gate, "/instances?limit=9&offset=7")) == 5
    assert (await gate.get("/instances?offset=8")).status == 400


async def test_what_is_left_is_said_in_a_warning(gate: Gate) -> None:
    await filled(gate)
    answer = await gate.get("/studies?limit=1")
    assert answer.headers.getall("Warning") == ["299 dicomweb-gateway: There are 2 additional results that can be requested"]
    assert "Warning" not in (await gate.get("/studies?limit=2&offset=1")).headers


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        (JSON, 200, JSON),
        ("application/json", 200, "application/json"),
        ("*/*", 200, JSON),
        ("application/*", 200, JSON),
        ("text/html, application/dicom+json;q=0.1", 200, JSON),
        ("application/dicom+xml", 406, None),
        ("application/dicom+json;q=0", 406, None),
        ("text/html", 406, None),
        ("nonsense", 406, None),
    ],
)
async def test_results_are_what_was_asked_for_or_refused(plain: Gate, accept: str, status: int, media: str | None) -> None:
    await filled(plain, 1)
    answer = await plain.get("/studies", accept)
    assert answer.status == status
    assert answer.headers["Content-Type"] == (media or "application/problem+json")


def in_xml(answer: Answer) -> list[ElementTree.Element]:
    assert answer.headers["Content-Type"].startswith(XML)
    found = parts_of(answer)
    assert {media for media, _ in found} == {"application/dicom+xml"}
    return [ElementTree.fromstring(data) for _, data in found]  # noqa: S314 - our own answer


def values(root: ElementTree.Element, tag: str) -> list[str | None]:
    return [value.text for value in root.findall(f"{NATIVE}DicomAttribute[@tag='{tag}']/{NATIVE}Value")]


@pytest.mark.parametrize("batch", [1, 50])
async def test_results_are_xml_for_those_who_ask(gate: Gate, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(qido, "XML_BATCH", batch)
    name = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Wang^Xiaodong=王^小东", "PatientID": "<&@/>"}
    await gate.store(*(dicom(f"1.{n}", f"1.{n}.1", f"1.{n}.1.1", **name) for n in range(4)))
    answer, same = await gate.get("/studies?limit=3", XML), await gate.get("/studies?limit=3")
    found = in_xml(answer)
    assert [[root.tag, *values(root, "0020000D")] for root in found] == [[f"{NATIVE}NativeDicomModel", f"1.{n}"] for n in range(3)]
    assert [values(root, "00081190")[0] for root in found] == urls(same.json)
    assert [values(root, "00100020") for root in found] == [["<&@/>"]] * 3
    assert {name.text for name in found[0].iter(f"{NATIVE}FamilyName")} == {"Wang", "王"}
    assert [len(root) for root in found] == [len(result) for result in same.json]
    assert answer.headers.getall("Warning") == same.headers.getall("Warning")
    assert (await gate.get("/studies?PatientID=none", XML)).status == 204


async def test_results_in_xml_are_kept_by_their_callers_until_they_change(gate: Gate) -> None:
    await filled(gate, 1)
    before = await gate.get("/instances", XML)
    assert before.headers["ETag"].startswith('W/"')
    kept = {"If-None-Match": before.headers["ETag"]}
    assert (await gate.get("/instances", XML, headers=kept)).status == 304
    assert (await gate.get("/instances", headers=kept)).status == 200
    assert len(in_xml(await gate.get("/instances", XML, headers=kept | {"Host": "other.example"}))) == 4
    await gate.store(dicom("1.9", "1.9.1", "1.9.1.1"))
    assert len(in_xml(await gate.get("/instances", XML, headers=kept))) == 5


async def test_without_accept_and_with_accept_in_the_url(plain: Gate) -> None:
    await filled(plain, 1)
    assert (await plain.ask("GET", "/studies")).headers["Content-Type"] == JSON
    assert (await plain.get("/studies?accept=application/json", JSON)).headers["Content-Type"] == "application/json"


async def test_head_has_the_headers_of_get(plain: Gate) -> None:
    await filled(plain, 1)
    get, head = await plain.get("/studies"), await plain.ask("HEAD", "/studies")
    names = ("Content-Length", "Content-Type", "Warning")
    assert [head.headers.get(name) for name in names] == [get.headers.get(name) for name in names]


# -- URLs in results


async def test_urls_start_with_the_host_that_was_asked(plain: Gate) -> None:
    await filled(plain, 2)
    for host in ("a.example", "b.example:8443", "192.0.2.1:80", "[2001:db8::1]:8080", "a_b"):
        found = (await plain.get("/studies", headers={"Host": host})).json
        assert urls(found) == [f"http://{host}/dicom-web/studies/1.1", f"http://{host}/dicom-web/studies/1.2"]
    found = (await plain.get("/studies/1.1/series/1.1.2/instances")).json
    assert urls(found)[0] == "http://gate.example/dicom-web/studies/1.1/series/1.1.2/instances/1.1.2.1"


async def test_urls_of_a_named_store(serve: Serve) -> None:
    gate = await serve(backend="memory", stores={"second": {"backend": "memory"}})
    await gate.store(dicom())
    base = "/stores/second/dicom-web"
    assert (await gate.get("/studies", base=base)).status == 204
    assert (await gate.ask("POST", "/studies", {"Content-Type": "application/dicom"}, dicom("1.7", "1.7.1", "1.7.1.1"), base)).status == 200
    assert urls((await gate.get("/studies", base=base)).json) == [f"http://gate.example{base}/studies/1.7"]
    assert await uids(gate, "/studies") == await uids(Gate(gate.app, gate.connections, gate.port), "/studies") == ["1.1"]


async def test_a_public_url_wins_over_every_header(serve: Serve) -> None:
    gate = await serve(backend="memory", server={"public_url": "https://dicom.example/imaging/"})
    await gate.store(dicom())
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-Proto": "gopher"}
    answer = await gate.get("/studies", headers=forged)
    assert urls(answer.json) == ["https://dicom.example/imaging/dicom-web/studies/1.1"]
    assert b"evil" not in answer.body


async def test_a_forged_host_reaches_only_its_sender(gate: Gate) -> None:
    await filled(gate, 1)
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    for path in ("/studies", "/studies/1.1/metadata"):
        assert b"http://evil.example/" in (await gate.get(path, headers=forged)).body
        answer = await gate.get(path)
        assert b"http://gate.example/" in answer.body
        assert b"evil" not in answer.body


@pytest.mark.parametrize("host", [b'a","x":"b', b"a b", b"a/b", b"a?b", b"u@b", b"<script>", b"\xff.example", b"", b"a:b", b"a\\b"])
async def test_a_host_that_is_none_never_gets_into_an_answer(plain: Gate, host: bytes) -> None:
    await filled(plain, 1)
    for path in ("/studies", "/studies/1.1/metadata"):
        answer = await plain.get(path, headers={"Host": host})
        assert f'"http://{plain.host}/dicom-web/studies/1.1'.encode() in answer.body
        assert answer.json
    answer = await plain.post(dicom("1.7"), "application/dicom", {"Host": host})
    assert answer.json["00081190"]["Value"] == [f"http://{plain.host}/dicom-web/studies/1.7"]


@pytest.mark.parametrize("text", ['"00081190":{"vr":"UR","Value":["@', '"BulkDataURI":"@', "@/studies/1.1"])
async def test_text_that_looks_like_a_url_of_ours_stays_as_it_is(gate: Gate, text: str) -> None:
    await gate.store(dicom(StudyDescription=text))
    (result,) = (await gate.get("/studies?includefield=StudyDescription")).json
    assert result["00081030"]["Value"] == [text]


@pytest.mark.parametrize("places", [0, 1, 2, 99])
def test_urls_are_found_in_a_flood(monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    monkeypatch.setattr(qido, "PLACES", places)
    results = [b'{"a":["@"],"BulkDataURI":"@/1","00081190":{"vr":"UR","Value":["@/2"]},"b":"\\"BulkDataURI\\":\\"@"}', b"{}", b'["@"]']
    expected = b",".join(results).replace(b"@/", b"http://a@b/")
    assert qido._array(results, b"http://a@b") == b"[" + expected + b"]"


async def test_bulk_data_of_results_can_be_fetched(gate: Gate) -> None:
    await gate.store(dicom())
    (result,) = (await gate.get("/instances?includefield=PixelData")).json
    assert result["7FE00010"]["BulkDataURI"] == f"http://gate.example/dicom-web{INSTANCE}/bulkdata/7FE00010"
    assert (await gate.get(f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream")).body == bytes(range(32))


async def test_many_results_are_joined_like_few(plain: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    await plain.store(*study("1.1", series=1, instances=23))
    few = (await plain.get("/instances")).json
    monkeypatch.setattr(qido, "BATCH", 10)
    assert (await plain.get("/instances")).json == few
    assert len(few) == 23


async def test_pipelined_searches_are_answered_in_order(plain: Gate) -> None:
    await filled(plain)
    reader, writer = await plain.connect()
    for number in (3, 1, 2):
        writer.write(request("GET", f"{BASE}/studies?StudyInstanceUID=1.{number}"))
    answers = [(await read_answer(reader)).json for _ in range(3)]
    assert [found[0]["0020000D"]["Value"] for found in answers] == [["1.3"], ["1.1"], ["1.2"]]
    writer.close()
