"""Store Transaction over real sockets: what is accepted, what is answered, and what attackers get."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.backends.made import dicom, study
from tests.web.conftest import Lines, Serve
from tests.web.gate import BASE, INSTANCE, MULTIPART, STORED, Gate, chunked, multipart, read_answer, request

ONE = dicom()
LEAST = multipart(ONE)
BARE = b"\r\n--here\r\n\r\n" + ONE + b"\r\n--here--"
"""As Python's dicomweb-client sends it: a CRLF before the first boundary, none after the last, no part headers."""

SINGLE = "application/dicom"
CT, JSON = "Content-Type", "application/dicom+json"
NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"

ODD = "b='()+_,-./:? x"
LONG = "x" * 73

FORMS: dict[str, tuple[str | None, bytes]] = {
    "quoted type": ('multipart/related; type="application/dicom"; boundary=here', LEAST),
    "unquoted type": ("multipart/related; type=application/dicom; boundary=here", LEAST),
    "no type": ("multipart/related; boundary=here", LEAST),
    "quoted boundary": ('multipart/related; boundary="here"; type="application/dicom"', LEAST),
    "any case": ("Multipart/RELATED;TYPE=Application/DICOM;Boundary=here", LEAST),
    "odd boundary": (f'multipart/related; boundary="{ODD}"', multipart(ONE, boundary=ODD)),
    "boundary of Orthanc": (f"multipart/related; boundary={LONG}", multipart(ONE, boundary=LONG)),
    "bare": (MULTIPART, BARE),
    "preamble and epilogue": (MULTIPART, b"to whom it may concern\r\n" + LEAST + b"ps: nothing"),
    "many part headers": (MULTIPART, multipart(ONE, head="content-length: 7\r\nX-A: b\r\nCONTENT-TYPE: application/dicom; a=b\r\n")),
    "single part": (SINGLE, ONE),
    "single part with parameters": ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", ONE),
    "no Content-Type": (None, ONE),
    "octets": ("application/octet-stream", ONE),
    "PowerShell": ("application/x-www-form-urlencoded", ONE),
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_is_stored_bit_identical(gate: Gate, form: str) -> None:
    media, body = FORMS[form]
    answer = await gate.post(body, media)
    assert (answer.status, answer.headers[CT]) == (200, JSON)
    assert (await gate.get(INSTANCE, STORED)).body == ONE


@pytest.mark.parametrize("form", ["quoted type", "bare", "single part", "no Content-Type"])
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
async def test_chunked_bodies_of_any_chunk_size(gate: Gate, form: str, size: int) -> None:
    media, body = FORMS[form]
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert (await gate.post(chunked(pieces), media, {"Transfer-Encoding": "chunked"})).status == 200
    assert (await gate.get(INSTANCE, STORED)).body == ONE


async def test_a_body_that_comes_byte_by_byte(plain: Gate) -> None:
    reader, writer = await plain.connect()
    for byte in request("POST", BASE + "/studies", {CT: MULTIPART}, LEAST):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await read_answer(reader)).status == 200
    writer.close()


async def test_several_requests_on_one_connection(gate: Gate) -> None:
    reader, writer = await gate.connect()
    for data in study("1.5"):
        writer.write(request("POST", BASE + "/studies/1.5", {CT: SINGLE}, data))
    assert [(await read_answer(reader)).status for _ in range(4)] == [200] * 4
    writer.close()


async def test_a_sender_that_asks_first_is_told_to_go_on_when_its_body_is_wanted(plain: Gate) -> None:
    for media, status in ((MULTIPART, 200), ("text/plain", 415)):
        reader, writer = await plain.connect()
        whole = request("POST", BASE + "/studies", {CT: media, "Expect": "100-Continue"}, LEAST)
        writer.write(whole[: -len(LEAST)])
        first = await reader.readuntil(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 100 Continue\r\n\r\n" if status == 200 else b"HTTP/1.1 415 ")
        if status == 200:
            writer.write(LEAST)
            assert (await read_answer(reader)).status == 200
        writer.close()
    assert (await plain.post(LEAST, headers={"Expect": "the unexpected"})).status == 200


# -- the answer


async def test_the_answer_names_what_was_stored(gate: Gate) -> None:
    answer = (await gate.store(*study("1.5", series=1))).json
    root = "http://gate.example/dicom-web/studies/1.5"
    assert answer == {
        "00081190": {"vr": "UR", "Value": [root]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                    "00081155": {"vr": "UI", "Value": [f"1.5.1.{number}"]},
                    "00081190": {"vr": "UR", "Value": [f"{root}/series/1.5.1/instances/1.5.1.{number}"]},
                }
                for number in (1, 2)
            ],
        },
    }


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("application/dicom+json", JSON),
        ("*/*", JSON),
        ("application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+json;q=0.5, application/dicom+xml", "application/dicom+xml"),
        ("application/dicom", JSON),
        ("text/html, image/*", JSON),
        ("application/dicom+json;q=0", JSON),
        ("nonsense", JSON),
    ],
)
async def test_the_answer_is_json_or_xml_and_never_refused_after_the_effect(plain: Gate, accept: str, given: str) -> None:
    answer = await plain.post(LEAST, headers={"Accept": accept})
    assert (answer.status, answer.headers.getall(CT)) == (200, [given])
    if given != JSON:
        root = ElementTree.fromstring(answer.body)  # noqa: S314 - our own answer
        assert root.tag == NAMESPACE + "NativeDicomModel"
        uids = [element.findtext(NAMESPACE + "Value") for element in root.iter(NAMESPACE + "DicomAttribute")]
        assert "1.1.1.1" in uids


async def test_accept_of_the_url_wins(plain: Gate) -> None:
    answer = await plain.post(LEAST, headers={"Accept": JSON}, path="/studies?accept=application/dicom%2Bxml")
    assert answer.headers[CT] == "application/dicom+xml"


async def test_a_large_answer_is_like_a_small_one(gate: Gate) -> None:
    answer = await gate.store(*study("1.5", series=3, instances=30))
    assert len(answer.json["00081199"]["Value"]) == 90


# -- statuses


def failures(answer: Any) -> list[tuple[str | None, int, str]]:
    """(SOP Instance UID, Failure Reason, comment) of what the answer calls failed."""
    items = [item for key in ("00081198", "0008119A") for item in answer.json.get(key, {"Value": []})["Value"]]
    return [
        (item.get("00081155", {"Value": [None]})["Value"][0], item["00081197"]["Value"][0], item["00000902"]["Value"][0]) for item in items
    ]


async def test_some_failures_are_202_and_name_part_tag_and_reason(gate: Gate) -> None:
    cut = dicom(sop="1.1.1.2")[:-5]
    answer = await gate.post(multipart(cut, ONE, b"garbage"))
    assert answer.status == 202
    assert [item["00081155"]["Value"] for item in answer.json["00081199"]["Value"]] == [["1.1.1.1"]]
    (first, reason, comment), (second, other, text) = failures(answer)
    assert (first, reason, comment[:21]) == ("1.1.1.2", 0xC000, "part 1: (7FE0,0010): ")
    assert (second, other, text[:8]) == (None, 0xC000, "part 3: ")
    warnings = answer.headers.getall("Warning")
    assert [warning.startswith(f"299 dicomweb-gateway: part {part}: ") for warning, part in zip(warnings, (1, 3), strict=True)] == [
        True
    ] * 2
    assert "00081198" not in (await gate.post(LEAST)).json


async def test_only_failures_are_409_with_a_few_warnings(gate: Gate) -> None:
    answer = await gate.post(multipart(*[b"garbage"] * 100))
    assert (answer.status, len(failures(answer)), len(answer.headers.getall("Warning"))) == (409, 100, 3)
    assert (await gate.get("/studies")).status == 204


async def test_an_instance_of_another_study_than_the_url(gate: Gate) -> None:
    answer = await gate.post(multipart(ONE, dicom("1.2", "1.2.1", "1.2.1.1")), path="/studies/1.2")
    assert answer.status == 202
    ((sop, reason, comment),) = failures(answer)
    assert (sop, reason) == ("1.1.1.1", 0x0110)
    assert "(0020,000D)" in comment
    assert (await gate.post(multipart(ONE), path="/studies/1.2")).status == 409
    assert (await gate.get("/studies/1.1")).status == 404


@pytest.mark.parametrize(("policy", "status", "kept"), [("reject", 409, 0), ("replace", 200, 1), ("skip", 200, 0)])
@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_duplicates(serve: Serve, backend: str, policy: str, status: int, kept: int) -> None:
    gate = await serve(backend=backend, store={"on_duplicate": policy})
    versions = [ONE, dicom(PatientName="Roe^Rita")]
    await gate.store(ONE)
    assert (await gate.post(LEAST)).status == 200
    answer = await gate.post(multipart(versions[1]))
    assert answer.status == status
    if policy == "skip":
        assert answer.json["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]
    if policy == "reject":
        assert [(sop, reason) for sop, reason, _ in failures(answer)] == [("1.1.1.1", 0x0110)]
    assert (await gate.get(INSTANCE, STORED)).body == versions[kept]


@pytest.mark.parametrize(
    ("media", "body", "says"),
    [
        ("multipart/related; type=application/dicom", LEAST, "boundary"),
        ("multipart/related; boundary=there", LEAST, "boundary"),
        ("multipart/related; boundary=" + "x" * 257, LEAST, "boundary"),
        (MULTIPART, b"--here--", "no part"),
        (MULTIPART, b"", "boundary"),
        (MULTIPART, b"--here and there\r\n\r\n", "boundary"),
        (MULTIPART, b"--here\r\nno header\r\n\r\n--here--", "header"),
        (MULTIPART, multipart(ONE, head="A: b\r\nA: c\r\n"), "header"),
        (MULTIPART, multipart(LEAST, head="Content-Type: multipart/related; boundary=x\r\n"), "multipart itself"),
        ("multipart/related; boundary=here; boundary=there", LEAST, "media type"),
        ("nonsense", LEAST, "media type"),
    ],
)
async def test_what_cannot_be_parsed_is_400(plain: Gate, media: str, body: bytes, says: str) -> None:
    answer = await plain.post(body, media)
    assert answer.status == 400
    assert says in answer.detail
    assert (await plain.get("/studies")).status == 204


@pytest.mark.parametrize(
    ("media", "body", "headers"),
    [
        ("text/plain", ONE, {}),
        ("multipart/form-data; boundary=here", LEAST, {}),
        ('multipart/related; type="image/jpeg"; boundary=here', LEAST, {}),
        (None, b"garbage", {}),
        (None, b"", {}),
        ("application/octet-stream", bytes(132), {}),
        ("application/x-www-form-urlencoded", b"a=b&" * 100, {}),
        (SINGLE, gzip.compress(ONE), {"Content-Encoding": "gzip"}),
        (MULTIPART, gzip.compress(LEAST), {"Content-Encoding": "deflate, gzip"}),
        (MULTIPART, LEAST, {"Content-Encoding": "br"}),
    ],
)
async def test_what_is_of_another_kind_is_415(plain: Gate, media: str | None, body: bytes, headers: dict[str, str]) -> None:
    answer = await plain.post(body, media, headers)
    assert answer.status == 415
    assert answer.detail
    assert (await plain.get("/studies")).status == 204


async def test_identity_is_no_encoding(plain: Gate) -> None:
    assert (await plain.post(LEAST, headers={"Content-Encoding": "identity"})).status == 200


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_limits_of_request_and_instance_name_their_setting(serve: Serve, backend: str) -> None:
    gate = await serve(backend=backend, limits={"parts": 2, "instance_bytes": len(ONE)})
    answer = await gate.post(multipart(*study("1.5")))
    assert answer.status == 413
    assert "limits.parts = 2" in answer.detail
    assert (await gate.get("/studies")).status == 204
    answer = await gate.post(multipart(ONE, dicom(sop="1.1.1.2", PixelData=bytes(5000))))
    assert answer.status == 202
    ((sop, reason, _),) = failures(answer)
    assert (sop, reason) == ("1.1.1.2", 0xA700)
    assert "limits.instance_bytes" in answer.headers["Warning"]
    assert (await gate.post(multipart(dicom(sop="1.1.1.2", PixelData=bytes(5000))))).status == 507


async def test_a_full_disk_is_507(serve: Serve) -> None:
    gate = await serve(store={"min_free_bytes": 1 << 62})
    assert (await gate.post(LEAST)).status == 507
    assert (await gate.get("/studies")).status == 204


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_one_store_too_many_is_told_to_come_back(serve: Serve, backend: str) -> None:
    gate = await serve(backend=backend, limits={"stow_in_flight": 1})
    reader, writer = await gate.connect()
    whole = request("POST", BASE + "/studies", {CT: MULTIPART}, LEAST)
    writer.write(whole[:-40])
    while (answer := await gate.post(LEAST)).status == 200:
        pass
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "limits.stow_in_flight" in answer.detail
    assert (await gate.get("/studies")).status in (200, 204)
    writer.write(whole[-40:])
    assert (await read_answer(reader)).status == 200
    writer.close()
    assert (await gate.post(LEAST)).status == 200


# -- attacks


MUCH = 8 << 20


def received(lines: Lines) -> int:
    """Bytes that were read of the only request."""
    (line,) = lines
    return int(line["received"])


def endless_preamble() -> bytes:
    return bytes(MUCH)


def header_flood() -> bytes:
    return b"--here\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"\r\n" + bytes(MUCH)


def endless_header() -> bytes:
    return b"--here\r\nX: " + b"y" * (MUCH)


def nested() -> bytes:
    levels = (b"--here%d\r\nContent-Type: multipart/related; boundary=here%d\r\n\r\n" % (level, level + 1) for level in range(400))
    return b"--here\r\nContent-Type: multipart/related; boundary=here0\r\n\r\n" + b"".join(levels) + bytes(MUCH)


@pytest.mark.parametrize("attack", [endless_preamble, header_flood, endless_header, nested], ids=lambda attack: attack.__name__)
async def test_framing_attacks_are_400_and_read_no_further(plain: Gate, lines: Lines, attack: Callable[[], bytes]) -> None:
    reader, writer = await plain.connect()
    writer.write(request("POST", BASE + "/studies", {CT: MULTIPART, "Content-Length": str(1 << 40)}, attack()))
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
    assert answer.detail
    assert received(lines) < MUCH // 4
    writer.transport.abort()
    async with asyncio.timeout(5):  # what is left of the body is not waited for, once nobody is there to send it
        await plain.idle()


async def test_thousands_of_tiny_parts_are_judged_or_refused(serve: Serve) -> None:
    gate = await serve(backend="memory", limits={"parts": 3000})
    tiny = b"--here\r\n\r\n\r\n"
    answer = await gate.post(tiny * 3000 + b"--here--")
    assert (answer.status, len(failures(answer))) == (409, 3000)
    assert (await gate.post(tiny * 3001 + b"--here--")).status == 413


@pytest.mark.parametrize("cut", [0, 5, 300, len(LEAST) - 30, len(LEAST) - 3])
@pytest.mark.parametrize("framing", [{"Content-Length": str(1 << 40)}, {"Transfer-Encoding": "chunked"}], ids=["length", "chunked"])
async def test_a_sender_that_leaves_leaves_nothing(gate: Gate, lines: Lines, tmp_path: Path, cut: int, framing: dict[str, str]) -> None:
    _, writer = await gate.connect()
    body = LEAST[:cut] if "Content-Length" in framing else b"%x\r\n" % len(LEAST) + LEAST[:cut]
    writer.write(request("POST", BASE + "/studies", {CT: MULTIPART} | framing, body))
    await asyncio.sleep(0.02)
    writer.close()
    await gate.idle()
    assert [line["status"] for line in lines] == [499]
    assert (await gate.get("/studies")).status == 204
    assert [path for path in tmp_path.glob("default/incoming/*/*") if path.name != "alive"] == []
    assert (await gate.metrics())["gateway_buffered_bytes"] == 0


@pytest.mark.parametrize("backend", ["memory", "local"])
@pytest.mark.parametrize("media", [MULTIPART, SINGLE, "application/octet-stream"])
async def test_a_sender_that_stalls_is_answered_408(serve: Serve, backend: str, media: str) -> None:
    gate = await serve(backend=backend, server={"stall_timeout": 0.2}, limits={"stow_in_flight": 1})
    reader, writer = await gate.connect()
    writer.write(request("POST", BASE + "/studies", {CT: media, "Content-Length": "9999"}, (LEAST if media == MULTIPART else ONE)[:200]))
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["Connection"]) == (408, "close")
    assert "server.stall_timeout" in answer.detail
    writer.close()
    assert (await gate.post(LEAST)).status == 200


async def test_a_compressed_bomb_is_not_inflated(plain: Gate, lines: Lines) -> None:
    bomb = gzip.compress(bytes(64 << 20), 1)
    assert (await plain.post(bomb, MULTIPART, {"Content-Encoding": "gzip"})).status == 415
    assert received(lines) == 0


@pytest.mark.parametrize("uid", ["..%2f..%2fetc", "%2e%2e", "..", "1.1%00", "%00", "1..1", "1.1%0a", "%ff", "1" * 65, "1.1%20", "+1.1"])
async def test_an_invalid_uid_is_refused_before_anything_is_read(plain: Gate, lines: Lines, uid: str) -> None:
    answer = await plain.post(LEAST, path=f"/studies/{uid}")
    assert answer.status == 400
    assert "StudyInstanceUID" in answer.detail
    assert received(lines) == 0


async def test_an_unknown_store_is_404(plain: Gate) -> None:
    answer = await plain.ask("POST", "/studies", {CT: MULTIPART}, LEAST, base="/stores/none/dicom-web")
    assert answer.status == 404
