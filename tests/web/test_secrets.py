"""Nothing that says who a patient is, and no token, gets into log lines, metrics or error answers (names and UIDs of DICOM are
no secret there): requests carry canaries wherever a client can put something, and what comes out is searched for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.app import SERVICE
from tests.backends.made import dicom
from tests.web.conftest import Lines, Serve
from tests.web.gate import BASE, INSTANCE, MULTIPART, STORED, Answer, Gate, multipart, request

NAME, PATIENT, TOKEN = "Canary^Zelda", "CANARY77", "canary-sesame"
QUOTED = quote(NAME)
WORDS = ("canary", "zelda")

WHO: dict[str, Any] = {
    "PatientName": NAME,
    "PatientID": PATIENT,
    "PatientComments": NAME,
    "AccessionNumber": PATIENT,
    "StudyDescription": NAME,
    "OtherPatientIDs": PATIENT,
}
GOOD = dicom(**WHO)

HEADERS = {
    "User-Agent": NAME,
    "Referer": f"https://x.example/{QUOTED}?token={TOKEN}",
    "Cookie": f"patient={PATIENT}",
    "X-Request-Id": NAME,
    "X-Patient": NAME,
    "Origin": f"https://{PATIENT}.example",
    "Forwarded": f"host={PATIENT}.example",
}

BAD_INSTANCES = {
    "cut": GOOD[:-5],
    "cut in the name": GOOD[: GOOD.index(NAME.encode()) + 5],
    "no DICOM": f"{NAME} {PATIENT}".encode() * 50,
    "a UID that is a name": GOOD.replace(b"1.1.1.1\0", b"CANARY7\0"),
    "a length that is a name": GOOD.replace(b"PN\x0c\x00", b"PN\xff\xff"),
    "a deflated one": GOOD.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20]),
    "another version": dicom(**WHO | {"PatientID": PATIENT + "X"}),
}
BAD_BODIES = {
    "part header": (MULTIPART, multipart(GOOD, head=f"{NAME} is no header\r\n")),
    "part type": (MULTIPART, multipart(GOOD, head=f"Content-Type: text/{PATIENT}\r\n")),
    "part types": (MULTIPART, multipart(GOOD, head=f"X-{PATIENT}: a\r\nX-{PATIENT}: {NAME}\r\n")),
    "type": (f"text/{PATIENT}", GOOD),
    "no type": (NAME, GOOD),
    "inner type": (f"multipart/related; type={PATIENT}; boundary=x", GOOD),
    "boundary": (f'multipart/related; boundary="{NAME}"', GOOD),
    "preamble": (MULTIPART, f"{NAME} ".encode() * 1000),
    "behind a boundary": (MULTIPART, f"--here {NAME}".encode()),
}
QUERIES = [
    f"PatientName={QUOTED}*&PatientID={PATIENT}",
    f"StudyDate={QUOTED}",
    f"StudyInstanceUID={QUOTED}",
    f"{QUOTED}={PATIENT}",
    f"limit={QUOTED}",
    f"offset={PATIENT}",
    f"fuzzymatching={QUOTED}",
    f"includefield={QUOTED}",
    f"access_token={TOKEN}&key={TOKEN}",
    f"ProtocolName={QUOTED}",
    f"SOPInstanceUID={QUOTED}",
    f"StudyTime={PATIENT}-{PATIENT}",
    f"accept={QUOTED}",
    f"ModalitiesInStudy={QUOTED}%00",
]
PATHS = [
    f"/studies/{QUOTED}",
    f"/studies/1.1/series/{PATIENT}",
    f"/studies/1.1/series/1.1.1/instances/{QUOTED}/metadata",
    f"{INSTANCE}/frames/{PATIENT}",
    f"{INSTANCE}/bulkdata/{QUOTED}",
    f"/patients/{QUOTED}",
    f"/{PATIENT}/studies",
]
SENT = [
    {"Accept": NAME},
    {"Accept": f"application/dicom; transfer-syntax={PATIENT}"},
    {"Accept": STORED, "Range": f"bytes={PATIENT}-"},
    {"Accept": STORED, "If-None-Match": NAME},
    {"Accept": STORED, "If-Range": NAME, "Range": "bytes=0-1"},
    {"Host": f"{PATIENT}?{QUOTED}"},
]


def found(text: str) -> list[str]:
    """The neighbourhood of each canary."""
    lower = text.lower()
    return [text[max(0, lower.index(word) - 60) : lower.index(word) + 40] for word in WORDS if word in lower]


def refused(answer: Answer) -> str:
    """What of an answer may end up in somebody's log: an error as a whole, else its headers."""
    told = str({name: value for name, value in answer.headers.items() if name not in ("Access-Control-Allow-Origin", "Location")})
    return told + (answer.body.decode() if answer.status >= 400 else "")


class Failing:
    """A store with a fault that quotes what it was asked."""

    async def search(self, query: object) -> None:
        raise ValueError(f"{NAME} {query}")

    async def store(self, uploads: AsyncIterator[object]) -> None:
        raise OSError(f"cannot write {NAME}")

    async def aclose(self) -> None:
        pass


async def everything(gate: Gate, more: dict[str, str]) -> AsyncIterator[Answer]:
    """Good and bad requests of all kinds."""
    headers = HEADERS | more
    yield await gate.post(multipart(GOOD, *BAD_INSTANCES.values()), headers=headers)
    for body in BAD_INSTANCES.values():
        yield await gate.post(body, "application/dicom", headers)
    for media, body in BAD_BODIES.values():
        yield await gate.post(body, media, headers)
    for level in ("studies", "series", "instances"):
        for query in QUERIES:
            yield await gate.get(f"/{level}?{query}", headers=headers)
    for path in PATHS:
        for method in ("GET", "DELETE", "POST", "PUT", "OPTIONS"):
            yield await gate.ask(method, path, headers, b"" if method == "POST" else None)
    for sent in SENT:
        for path in ("/studies", INSTANCE, INSTANCE + "/metadata", INSTANCE + "/frames/1"):
            yield await gate.ask("GET", path, headers | sent)
    yield await gate.get("/studies", headers=headers, base=f"/stores/{PATIENT}/dicom-web")
    yield await gate.raw(f"GET {BASE}/studies?PatientName={NAME}\x7f HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    yield await gate.raw(f"GET {BASE}/studies HTTP/1.1\r\nHost: a\r\n{NAME}\r\n\r\n".encode())
    for path in ("/studies", "/nothing"):
        yield await gate.raw(request("GET", f"{BASE}{path}?token={TOKEN}", headers | {"Expect": PATIENT}))
    yield await gate.raw(request("GET", f"{BASE}/studies", headers | {"X": "\x00" + NAME}))


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_no_canary_gets_out(serve: Serve, lines: Lines, capfd: pytest.CaptureFixture[str], tmp_path: Path, backend: str) -> None:
    (tmp_path / "tokens").write_text(TOKEN)
    gate = await serve(backend=backend, server={"token_file": tmp_path / "tokens", "cors_origins": ["*"]})
    right, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}-{PATIENT}"}
    statuses = set()
    for authorization in (right, wrong):
        async for answer in everything(gate, authorization):
            statuses.add(answer.status)
            assert found(refused(answer)) == []
    assert statuses >= {200, 202, 204, 400, 401, 404, 405, 406, 409, 415}
    assert len(lines) > 200
    assert found(str(lines)) == []
    assert found((await gate.get("/metrics", base="", headers=right)).body.decode()) == []
    assert found((await gate.get("/readyz", base="")).body.decode()) == []
    assert found("".join(capfd.readouterr())) == []


async def test_a_fault_of_ours_quotes_nobody(serve: Serve, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.expected = {"request failed"}
    gate = await serve(backend="memory")
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", Failing())
    answers = [await gate.get(f"/studies?PatientName={QUOTED}", headers=HEADERS), await gate.post(multipart(GOOD), headers=HEADERS)]
    assert [answer.status for answer in answers] == [500, 500]
    assert found("".join(map(refused, answers))) == []
    assert found(str(lines)) == []


async def test_the_canaries_are_there_to_be_found(serve: Serve) -> None:
    gate = await serve(backend="memory")
    await gate.store(GOOD)
    assert found((await gate.get("/studies")).body.decode())
    assert found((await gate.get(INSTANCE + "/metadata")).body.decode())
