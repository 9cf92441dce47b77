"""Google's clients at a gateway that runs: its Python client with every method, dcmweb and the samples of the guide as recorded."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from xml.etree import ElementTree

import pytest
from multidict import CIMultiDict

from tests import samples
from tests.flows import google_methods
from tests.flows.google_methods import UNIMPLEMENTED, VERSIONS
from tests.flows.google_story import PNG, is_iam
from tests.flows.recorded import Uids, dcmweb_files, decoded, wire
from tests.flows.recorded_google import SAMPLES, STORE, TOKEN, dcmweb
from tests.running import Gateway, running
from tests.web.gate import Answer, chunked

DOCS = Path(__file__).parents[2] / "docs" / "healthcare.md"

CT = Uids("1.2.4", "1.2.4.1", "1.2.4.1.1")
JPEG = Uids(samples.STUDY, samples.SERIES, samples.SOP)
FILE = samples.ct(study=CT.study, series=CT.series, sop=CT.sop)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("google")
    with running(folder, "--workers", "1", environment=google_methods.letting(folder)) as started:
        yield started


# -- google-api-python-client


def test_every_method_works_or_says_that_it_does_not(gateway: Gateway) -> None:
    """What the page in docs/ says is what was measured; write it anew as its head says."""
    found = google_methods.measured(gateway.root, gateway.folder)
    assert google_methods.page(found) == DOCS.read_text()
    lacking = {name for name, ends in found.items() if UNIMPLEMENTED in ends.values() and google_methods.is_shown(name)}
    unexpected = {name for name in lacking if not is_iam(name)} - {"datasets.deidentify", "datasets.dicomStores.deidentify"}
    assert unexpected == set()


# -- what was recorded


def send(gateway: Gateway, text: str, body: bytes = b"", uids: Uids = CT, **places: str) -> Answer:
    """A recorded request, and its answer."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(wire(text, body, study=uids.study, series=uids.series, instance=uids.path, **places))
        response = HTTPResponse(connection)
        response.begin()
        answer = Answer(response.status, CIMultiDict(response.getheaders()), response.read())
        return Answer(answer.status, answer.headers, decoded(answer))


@pytest.fixture
def store(gateway: Gateway) -> Iterator[Gateway]:
    """An empty store for one test, in a dataset of its own."""
    dataset, _, name = STORE.partition("/dicomStores/")
    parent, _, dataset_id = dataset.rpartition("/")
    for path in (f"{parent}?datasetId={dataset_id}", f"{dataset}/dicomStores?dicomStoreId={name}"):
        with urlopen(Request(f"{gateway.root}/v1{path}", b"", method="POST"), timeout=60) as answer:
            assert answer.status == 200
    yield gateway
    with urlopen(Request(f"{gateway.root}/v1{dataset}", method="DELETE"), timeout=60) as answer:
        assert answer.read() == b"{}"


def done(gateway: Gateway, operation: str) -> dict[str, Any]:
    """An operation that has ended, asked for as dcmweb does."""
    for _ in range(300):
        found: dict[str, Any] = send(gateway, dcmweb("GET", "/" + operation, base="")).json
        if found.get("done"):
            return found
        time.sleep(0.05)
    raise TimeoutError(operation)


def test_dcmweb_stores_and_finds_the_url_of_what_it_stored(store: Gateway) -> None:
    assert send(store, dcmweb("GET", "/studies?limit=1")).status == 204
    for file in (FILE, samples.encapsulated(3)):  # many files are many requests, with -m at once
        answer = send(store, dcmweb("POST", "/studies", length=len(file)), file)
        assert answer.status == 200
        text = answer.body.decode()
        found = ElementTree.fromstring(text).find("*[@keyword='ReferencedSOPSequence']//*[@keyword='RetrieveURL']*")  # noqa: S314 - ours
        assert found is not None
        assert (found.text or "").startswith(f"http://127.0.0.1:18932/v1{STORE}/dicomWeb/studies/")
    assert len(send(store, dcmweb("GET", "/studies?limit=5000")).json) == 2


def test_dcmweb_retrieves_all_and_frames_and_deletes(store: Gateway) -> None:
    for file in (FILE, samples.encapsulated(3)):
        send(store, dcmweb("POST", "/studies", length=len(file)), file)
    pages = [send(store, dcmweb("GET", f"/instances?includefield=0020000D&includefield=0020000E&limit=5000&offset={n}")) for n in (0, 5000)]
    assert (len(pages[0].json), pages[1].status, pages[1].body) == (2, 204, b"")
    whole = send(store, dcmweb("GET", "{instance}", "application/dicom; transfer-syntax=*"))
    assert (whole.headers["Content-Type"].startswith("application/dicom"), whole.body) == (True, FILE)
    content_type, chunks = frames_in_chunks(
        store, dcmweb("GET", "{instance}/frames/2", 'multipart/related; type="image/jpeg"; transfer-syntax=*')
    )
    files = dcmweb_files(content_type, iter(chunks))
    assert [file.strip(b"\r\n\0") for file in files] == [samples.codestreams(3)[1].strip(b"\0")]
    begun = send(store, dcmweb("DELETE", "/studies/{study}")).json
    assert done(store, begun["name"])["metadata"]["counter"] == {"success": "1"}
    assert send(store, dcmweb("DELETE", "{instance}"), uids=JPEG).json == {}
    missing = send(store, dcmweb("DELETE", "{instance}"), uids=JPEG)
    assert (missing.status, missing.json["error"]["status"]) == (404, "NOT_FOUND")


def frames_in_chunks(gateway: Gateway, text: str) -> tuple[str, list[bytes]]:
    """What dcmweb reads: the chunks of the answer, as they came, up to 8,192 bytes each."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(wire(text, instance=JPEG.path))
        response = HTTPResponse(connection)
        response.begin()
        assert (response.status, response.chunked) == (200, True)
        chunks = []
        while (size := int(response.fp.readline(), 16)) > 0:  # its own reader puts chunks together
            chunks.append(response.fp.read(size))
            response.fp.readline()
        return response.headers["Content-Type"], chunks


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("language", SAMPLES)
def test_the_samples_of_the_guide_work_in_every_language(store: Gateway, language: str, version: str) -> None:
    def ask(what: str, body: bytes = b"") -> Answer:
        text = SAMPLES[language][what].replace(" /projects", f" /{version}/projects", 1).replace("{length}", str(len(FILE)))
        return send(store, text, body)

    stored = ask("store", chunked([FILE]) if language == "node" else FILE)
    assert (stored.status, stored.headers["Content-Type"]) == (200, f"application/dicom+{'json' if language == 'node' else 'xml'}")
    for what in ("search", "metadata"):
        (found,) = ask(what).json
        assert found["00080018"]["Value"] == [CT.sop]
    study = ask("study")
    assert study.headers["Content-Type"].startswith("multipart/related")
    assert FILE in study.body
    assert ask("instance").body == FILE
    assert ask("rendered").body.startswith(PNG)
    assert done(store, ask("delete").json["name"])["metadata"]["counter"] == {"success": "1"}
    if version == VERSIONS[-1]:
        assert_nowhere(store)


def assert_nowhere(gateway: Gateway) -> None:
    """No token of a caller is in the log, in a metric or in a file."""
    with urlopen(gateway.root + "/metrics", timeout=60) as page:
        assert TOKEN.encode() not in page.read()
    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert gateway.log in files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
