"""Retrieve Transaction and deletion over real sockets: representations, ranges, validators, URLs, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.web import wado
from tests.backends.made import dicom, study
from tests.web.conftest import Lines, Serve
from tests.web.gate import ANY, INSTANCE, STORED, Gate, parts_of

JSON = "application/dicom+json"
OCTETS = "application/octet-stream; transfer-syntax=*"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
IMPLICIT, BIG_ENDIAN, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"

ONE = dicom(NumberOfFrames="3", PixelData=bytes(range(96)))


async def filled(gate: Gate) -> Gate:
    await gate.store(ONE)
    return gate


# -- representations


async def test_studies_series_and_instances_come_bit_identical(gate: Gate) -> None:
    files = study("1.5")
    await gate.store(*files, ONE)
    for path, count in (("/studies/1.5", 4), ("/studies/1.5/series/1.5.2", 2), ("/studies/1.5/series/1.5.2/instances/1.5.2.2", 1)):
        answer = await gate.get(path, PARTS)
        assert answer.status == 200
        assert parts_of(answer) == [("application/dicom", file) for file in files[-count:]]
    assert (await gate.get(INSTANCE, STORED)).body == ONE


async def test_without_accept_one_gets_what_is_stored(gate: Gate) -> None:
    implicit = dicom(syntax=IMPLICIT)
    await gate.store(implicit)
    answer = await gate.ask("GET", INSTANCE, {"Content-Type": "text/plain"})
    assert parts_of(answer) == [(f"application/dicom; transfer-syntax={IMPLICIT}", implicit)]


async def test_a_named_type_without_a_syntax_gets_explicit_little_endian(gate: Gate) -> None:
    await gate.store(dicom(syntax=IMPLICIT))
    answer = await gate.get(INSTANCE, "application/dicom")
    assert answer.headers["Content-Type"] == "application/dicom"
    assert b"1.2.840.10008.1.2.1\0" in answer.body
    assert answer.body.endswith(b"OW\0\0\x20\0\0\0" + bytes(range(32)))
    stored = await gate.get(INSTANCE, STORED)
    assert stored.headers["Content-Type"] == f"application/dicom; transfer-syntax={IMPLICIT}"
    assert answer.headers["ETag"] != stored.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/studies/1.1", "application/dicom"),
        ("/studies/1.1/series/1.1.1", STORED),
        (INSTANCE, "image/jpeg"),
        (INSTANCE, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.100"),
        (INSTANCE, "application/dicom;q=0"),
        (INSTANCE + "/metadata", "application/dicom"),
        (INSTANCE + "/frames/1,2", OCTETS),
        (INSTANCE + "/frames/1", "image/png"),
        (INSTANCE + "/bulkdata/7FE00010", "image/jpeg"),
    ],
)
async def test_what_cannot_be_given_in_any_form_asked_for_is_406(gate: Gate, path: str, accept: str) -> None:
    await filled(gate)
    answer = await gate.get(path, accept)
    assert answer.status == 406
    assert answer.detail


async def test_406_names_the_stored_syntax(gate: Gate) -> None:
    from pydicom.encaps import encapsulate

    await gate.store(dicom(syntax=JPEG, PixelData=encapsulate([b"\xff\xd8\xff\xd9"])))
    assert JPEG in (await gate.get(INSTANCE, "application/dicom")).detail
    assert JPEG in (await gate.get(INSTANCE + "/frames/1", "application/octet-stream")).detail
    answer = await gate.get(INSTANCE + "/frames/1", FRAMES)
    assert parts_of(answer) == [(f"image/jpeg; transfer-syntax={JPEG}", b"\xff\xd8\xff\xd9")]


# -- missing, deleted

LEVELS = ["/studies/1.1", "/studies/1.1/series/1.1.1", INSTANCE]


@pytest.mark.parametrize(
    "path", ["/studies/9", "/studies/1.1/series/9", "/studies/1.1/series/1.1.1/instances/9", INSTANCE.replace("1.1/s", "9/s")]
)
async def test_the_unknown_is_404(gate: Gate, path: str) -> None:
    await filled(gate)
    for suffix in ("", "/metadata") + (("/frames/1", "/bulkdata/7FE00010") if "instances" in path else ()):
        assert (await gate.get(path + suffix)).status == 404
    answer = await gate.ask("DELETE", path)
    assert answer.status == 404
    assert answer.detail


@pytest.mark.parametrize("path", LEVELS)
async def test_what_was_deleted_is_gone_and_can_be_stored_again(gate: Gate, path: str) -> None:
    await filled(gate)
    answer = await gate.ask("DELETE", path)
    assert (answer.status, answer.body) == (204, b"")
    assert (await gate.get(path)).status == 410
    assert (await gate.get(path + "/metadata")).status == 410
    assert (await gate.ask("DELETE", path)).status == 410
    assert (await gate.get("/studies")).status == 204
    await filled(gate)
    assert (await gate.get(INSTANCE, STORED)).body == ONE


# -- ranges and validators


@pytest.mark.parametrize(
    ("wanted", "status", "start", "stop"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, len(ONE)),
        ("bytes=-10", 206, len(ONE) - 10, len(ONE)),
        ("bytes=-99999", 206, 0, len(ONE)),
        ("bytes=5-99999", 206, 5, len(ONE)),
        ("bytes = 5 - 5", 206, 5, 6),
        (f"bytes={len(ONE) - 1}-", 206, len(ONE) - 1, len(ONE)),
        (f"bytes={len(ONE)}-", 416, 0, 0),
        ("bytes=99999-100000", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=0-1,5-6", 200, 0, len(ONE)),
        ("bytes=9-5", 200, 0, len(ONE)),
        ("bytes=-", 200, 0, len(ONE)),
        ("bytes=a-b", 200, 0, len(ONE)),
        ("bytes=-5-9", 200, 0, len(ONE)),
        ("items=0-9", 200, 0, len(ONE)),
        ("bytes=" + "9" * 30 + "-", 200, 0, len(ONE)),
        ("", 200, 0, len(ONE)),
    ],
)
async def test_ranges(gate: Gate, wanted: str, status: int, start: int, stop: int) -> None:
    await filled(gate)
    answer = await gate.get(INSTANCE, STORED, {"Range": wanted})
    assert answer.status == status
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(ONE)}"
        assert answer.detail
        return
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.body == ONE[start:stop]
    assert answer.headers.get("Content-Range") == (f"bytes {start}-{stop - 1}/{len(ONE)}" if status == 206 else None)


async def test_a_range_with_a_condition(gate: Gate) -> None:
    await filled(gate)
    whole = await gate.get(INSTANCE, STORED)
    for condition, status in (
        (whole.headers["ETag"], 206),
        ('"other"', 200),
        (whole.headers["Last-Modified"], 200),
        ("W/" + whole.headers["ETag"], 200),
    ):
        answer = await gate.get(INSTANCE, STORED, {"Range": "bytes=0-9", "If-Range": condition})
        assert (answer.status, len(answer.body)) == (status, 10 if status == 206 else len(ONE))


@pytest.mark.parametrize(
    ("accept", "path"), [(PARTS, INSTANCE), (PARTS, "/studies/1.1"), (JSON, INSTANCE + "/metadata"), (FRAMES, INSTANCE + "/frames/1")]
)
async def test_bodies_that_are_made_have_no_ranges(gate: Gate, accept: str, path: str) -> None:
    await filled(gate)
    answer = await gate.get(path, accept, {"Range": "bytes=0-9"})
    assert answer.status == 200
    assert "Accept-Ranges" not in answer.headers


async def test_ranges_of_bulk_data_and_frames(gate: Gate) -> None:
    await filled(gate)
    for path, whole in (("/bulkdata/7FE00010", bytes(range(96))), ("/frames/2", bytes(range(32, 64)))):
        answer = await gate.get(INSTANCE + path, OCTETS, {"Range": "bytes=4-7"})
        assert (answer.status, answer.body) == (206, whole[4:8])


@pytest.mark.parametrize(
    ("spelled", "status"),
    [("{}", 304), ("W/{}", 304), ("*", 304), ('"a", {} , "b"', 304), ('"a"', 200), ("", 200), ('"a", "b"', 200)],
)
async def test_what_the_caller_has_is_not_sent_again(gate: Gate, spelled: str, status: int) -> None:
    await filled(gate)
    first = await gate.get(INSTANCE, STORED)
    assert parsedate_to_datetime(first.headers["Last-Modified"])
    headers = {"If-None-Match": spelled.format(first.headers["ETag"]), "Range": "bytes=0-9" if status == 304 else ""}
    answer = await gate.get(INSTANCE, STORED, headers)
    assert (answer.status, answer.body) == (status, b"" if status == 304 else ONE)
    assert (answer.headers["ETag"], answer.headers["Last-Modified"]) == (first.headers["ETag"], first.headers["Last-Modified"])


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_the_validator_changes_with_the_bytes(serve: Serve, backend: str) -> None:
    gate = await serve(backend=backend, store={"on_duplicate": "replace"})
    await filled(gate)
    old = (await gate.get(INSTANCE, STORED)).headers["ETag"]
    await gate.store(dicom())
    answer = await gate.get(INSTANCE, STORED, {"If-None-Match": old})
    assert (answer.status, answer.headers["ETag"] == old, answer.body) == (200, False, dicom())


@pytest.mark.parametrize("path", [INSTANCE, "/studies/1.1", INSTANCE + "/metadata", INSTANCE + "/frames/1", "/studies/9"])
async def test_head_is_get_without_the_body(gate: Gate, path: str) -> None:
    await filled(gate)
    accept = JSON if "metadata" in path else ANY if "frames" in path or "9" in path else PARTS
    await gate.get(path, accept)  # metadata is kept from now on, and its length known
    get, head = await gate.get(path, accept), await gate.ask("HEAD", path, {"Accept": accept, "Range": "bytes=0-1"})
    assert head.status == get.status
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers.get(name) == get.headers.get(name)


async def test_head_ignores_ranges(gate: Gate) -> None:
    await filled(gate)
    answer = await gate.ask("HEAD", INSTANCE, {"Accept": STORED, "Range": "bytes=0-1"})
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(ONE)))


# -- metadata and bulk data


def uris(found: Any) -> list[str]:
    """Every BulkDataURI in a DICOM JSON value."""
    if isinstance(found, dict):
        return [uri for key, value in found.items() for uri in ([value] if key == "BulkDataURI" else uris(value))]
    return [uri for value in found for uri in uris(value)] if isinstance(found, list) else []


async def test_metadata_names_bulk_data_that_can_be_fetched(gate: Gate) -> None:
    await filled(gate)
    for _ in range(2):  # the second time it is kept
        (found,) = (await gate.get("/studies/1.1/metadata", JSON)).json
        assert uris(found) == [f"http://gate.example/dicom-web{INSTANCE}/bulkdata/7FE00010"]
    path = uris(found)[0].removeprefix("http://gate.example/dicom-web")
    assert (await gate.get(path, OCTETS)).body == bytes(range(96))
    assert [data for _, data in parts_of(await gate.get(path))] == [bytes(range(96))]


async def test_metadata_of_many_instances_is_one_array(gate: Gate) -> None:
    await gate.store(*study("1.5", series=2, instances=8))
    found = (await gate.get("/studies/1.5/metadata")).json
    assert [one["00080018"]["Value"] for one in found] == [[f"1.5.{series}.{number}"] for series in (1, 2) for number in range(1, 9)]
    assert len(uris(found)) == 16


@pytest.mark.parametrize("text", ['"BulkDataURI":"@', '\\"BulkDataURI\\":\\"@', '{"BulkDataURI":"@/studies"}', "@/studies/1.1"])
@pytest.mark.parametrize("size", [16, 1 << 20])
async def test_text_that_looks_like_a_url_of_ours_stays_as_it_is(gate: Gate, monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setattr(wado, "SLICE", size)
    await gate.store(dicom(PatientComments=text))
    (found,) = (await gate.get(INSTANCE + "/metadata")).json
    assert found["00104000"]["Value"] == [text]
    assert uris(found) == [f"http://gate.example/dicom-web{INSTANCE}/bulkdata/7FE00010"]


words = st.sampled_from(
    [
        b'{"vr":"OW","BulkDataURI":"@/studies/1',
        b'"}',
        b"{",
        b"x" * 9,
        b'\\"BulkDataURI\\":\\"@',
        b'"BulkDataURI":"http',
        b'<BulkData uri="@/studies',
        b"<",
    ]
)


@hypothesis_settings(deadline=None)
@given(st.lists(words, max_size=30).map(b"".join), st.sampled_from([wado._IN_JSON, wado._IN_XML]))
def test_slices_lose_nothing_and_cut_no_mark(piece: bytes, mark: wado._Mark) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wado, "SLICE", 20)
        slices = list(wado._slices(piece, mark.cut))
    assert b"".join(slices) == piece
    assert sum(one.count(mark.before) for one in slices) == piece.count(mark.before)


@pytest.mark.parametrize(
    "path", ["7fe00010", "7FE0001", "7FE00010/", "7FE00010/x", "7FE00010/0", "../7FE00010", "%2e%2e%2f", "a%00", "7FE00010%0a"]
)
async def test_bulk_data_paths_that_metadata_never_names(plain: Gate, path: str) -> None:
    await filled(plain)
    assert (await plain.get(f"{INSTANCE}/bulkdata/{path}")).status in (400, 404)


async def test_bulk_data_that_is_not_there(gate: Gate) -> None:
    await filled(gate)
    assert (await gate.get(INSTANCE + "/bulkdata/54000100/0/54001010")).status == 404


# -- frames


@pytest.mark.parametrize("listed", ["1", "2", "1,2", "1,2,3", "3,1", "2,2", "01"])
async def test_frames_in_the_order_asked_for(gate: Gate, listed: str) -> None:
    await filled(gate)
    answer = await gate.get(f"{INSTANCE}/frames/{listed}", FRAMES)
    numbers = [int(word) - 1 for word in listed.split(",")]
    assert [data for _, data in parts_of(answer)] == [bytes(range(32 * n, 32 * n + 32)) for n in numbers]


@pytest.mark.parametrize(
    "listed",
    ["0", "-1", "x", "1,,2", ",", "1,", "1,0", "1%202", "1;2", "99999999999", "%D9%A1", ",".join(["1"] * 4097)],
    ids=lambda text: text[:12],
)
async def test_lists_that_are_none_are_400(plain: Gate, listed: str) -> None:
    await filled(plain)
    answer = await plain.get(f"{INSTANCE}/frames/{listed}", FRAMES)
    assert answer.status == (414 if len(listed) > 8000 else 400)  # which is no list, for it is no URL


@pytest.mark.parametrize("listed", ["4", "1,4", "9999999999"])
async def test_a_frame_that_is_not_there_is_404_and_names_how_many_are(gate: Gate, listed: str) -> None:
    await filled(gate)
    answer = await gate.get(f"{INSTANCE}/frames/{listed}", FRAMES)
    assert answer.status == 404
    assert "3" in answer.detail


async def test_the_longest_list(gate: Gate) -> None:
    await filled(gate)
    answer = await gate.get(f"{INSTANCE}/frames/" + ",".join(["1"] * 3000), FRAMES)
    assert len(parts_of(answer)) == 3000


# -- what is refused before anything is touched

BAD = [
    "..%2f..%2fetc",
    "%2e%2e",
    "1.1%00",
    "%00",
    "1..1",
    ".1",
    "1.",
    "1.1%0d%0aX:%20y",
    "%ff",
    "1" * 65,
    "1.1%20",
    "%2fetc%2fpasswd",
    "-1",
    "%D9%A1",
]

URLS: list[Callable[[str], str]] = [
    lambda uid: f"/studies/{uid}",
    lambda uid: f"/studies/1.1/series/{uid}",
    lambda uid: f"/studies/1.1/series/1.1.1/instances/{uid}",
    lambda uid: f"/studies/{uid}/metadata",
    lambda uid: f"/studies/1.1/series/{uid}/metadata",
    lambda uid: f"/studies/1.1/series/1.1.1/instances/{uid}/frames/1",
    lambda uid: f"/studies/{uid}/series/1.1.1/instances/1.1.1.1/bulkdata/7FE00010",
]
SEARCHES: list[Callable[[str], str]] = [lambda uid: f"/studies/{uid}/series", lambda uid: f"/studies/1.1/series/{uid}/instances"]


class Untouched:
    """Stands for a store that nobody may ask."""

    def __getattr__(self, name: str) -> Any:
        def called(*_: Any) -> None:
            raise AssertionError(f"{name} was called")

        return called

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("uid", BAD, ids=lambda uid: uid[:12])
async def test_an_invalid_uid_never_reaches_a_store(plain: Gate, lines: Lines, uid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.app import SERVICE

    monkeypatch.setitem(plain.app[SERVICE].catalog._stores, "default", Untouched())
    for url in URLS:
        answers = [await plain.get(url(uid))] + ([await plain.ask("DELETE", url(uid))] if url in URLS[:3] else [])
        assert [answer.status for answer in answers] == [400] * len(answers)
        assert all("UID" in answer.detail for answer in answers)
    for url in SEARCHES:
        assert (await plain.get(url(uid))).status == 400


async def test_a_path_is_never_put_together_of_dots(plain: Gate) -> None:
    for path in ("/studies/../../etc/passwd", "/../healthz", "/studies/1.1/../../..", "//studies", "/studies/"):
        assert (await plain.get(path)).status == 404


async def test_metadata_in_xml_names_public_urls(gate: Gate) -> None:
    await gate.store(dicom(PatientComments='<BulkData uri="@/x"/>'))
    answer = await gate.get(INSTANCE + "/metadata", headers={"Accept": 'multipart/related; type="application/dicom+xml"'})
    assert answer.status == 200 and answer.body.count(b"<NativeDicomModel ") == 1
    assert f'<BulkData uri="http://gate.example/dicom-web{INSTANCE}/bulkdata/7FE00010"/>'.encode() in answer.body
    assert b'&lt;BulkData uri="@/x"/&gt;' in answer.body
