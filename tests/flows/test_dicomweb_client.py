"""dicomweb-client over every file at hand, through a socket: searches, metadata, bulk data, instances and frames as stored.

Files share SOP Instance UIDs, so the store replaces, and each file is read back before the next one comes. With DICOM_CORPUS
the files of that folder go the same way.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError

from gateway.backends.representations import NATIVE
from tests.dicom.archive import readable, walk_of
from tests.flows.client import Client
from tests.flows.ours import Attributes, Bulk, described
from tests.running import Gateway, running

AS_STORED = (("application/dicom", "*"),)
OCTETS = (("application/octet-stream", "1.2.840.10008.1.2.1"),)
CODECS = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
}
"""Media types of PS3.18 table 8.7.3-5 by transfer syntax."""

AT_MOST = 100
"""Frames of an instance that are asked for."""

ITEM = b"\xfe\xff\x00\xe0"


class Recording(DICOMwebClient):
    """Keeps the bytes of the parts that it has read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.parts: list[bytes] = []

    def _decode_multipart_message(self, response: Any, stream: bool) -> Iterator[bytes]:
        self.parts.clear()
        for part in super()._decode_multipart_message(response, stream):
            self.parts.append(bytes(part))
            yield part


@dataclass
class Stored:
    """An instance that was just stored."""

    path: Path
    data: bytes
    sop: str

    @cached_property
    def metadata(self) -> tuple[Attributes, Bulk]:
        return described(self.data)

    @cached_property
    def uids(self) -> tuple[str, str, str]:
        return self.first("0020000D"), self.first("0020000E"), self.sop

    @cached_property
    def syntax(self) -> str:
        walk = walk_of(self.data)
        assert walk is not None
        return walk.syntax

    def first(self, tag: str, default: Any = None) -> Any:
        """The first value of an attribute of the whole instance."""
        return self.metadata[0].get(tag, {}).get("Value", [default])[0]

    @property
    def compressed(self) -> bool:
        return self.syntax not in NATIVE


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"GATEWAY_STORES__DEFAULT__ON_DUPLICATE": "replace", "GATEWAY_STORES__DEFAULT__DURABILITY": "relaxed"}
    with running(tmp_path_factory.mktemp("corpus"), "--workers", "1", environment=settings) as started:
        yield started


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Recording:
    return Recording(gateway.url)


# -- what is asked of each instance; how many things came back right


def finds_it(client: Recording, one: Stored) -> int:
    """At three levels, by each way of saying what is wanted."""
    study, series, sop = one.uids
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study}, fields=["all"])
    assert found["0020000D"]["Value"] == [study] and found["00081190"]["Value"][0].endswith(f"/studies/{study}")
    (found,) = client.search_for_series(study, search_filters={"0020000E": series}, fields=["SeriesNumber", "00081030"], limit=5)
    assert found["0020000E"]["Value"] == [series]
    (found,) = client.search_for_instances(study, series, search_filters={"SOPInstanceUID": sop}, fields=["00080060"])
    assert found["00080018"]["Value"] == [sop]
    name = one.first("00100010", {}).get("Alphabetic", "").partition("^")[0]
    if not (name.isascii() and name.isalnum()):
        return 3
    alike = client.search_for_studies(fuzzymatching=True, search_filters={"PatientName": name[:3].lower()}, get_remaining=True)
    assert study in {someone["0020000D"]["Value"][0] for someone in alike}
    return 4


def reads_metadata(client: Recording, one: Stored) -> int:
    """The same at three levels, and what `described` says, but for where bulk data is."""
    study, series, _ = one.uids
    metadata = client.retrieve_instance_metadata(*one.uids)
    assert metadata in client.retrieve_series_metadata(study, series)
    assert metadata in client.retrieve_study_metadata(study)
    assert moved(metadata) == one.metadata[0]
    return 3


def reads_bulk_data(client: Recording, one: Stored) -> int:
    """At every URI that the metadata names."""
    names = list(uris(client.retrieve_instance_metadata(*one.uids)))
    for uri in names:
        value = one.metadata[1]["@/bulkdata/" + uri.partition("/bulkdata/")[2]]
        parts = client.retrieve_bulkdata(uri)
        if value.startswith(ITEM) and one.compressed:
            assert parts and all(parts), uri  # frames, which have a question of their own
        else:
            assert parts == [value], uri
    return len(names)


def reads_it_as_stored(client: Recording, one: Stored) -> int:
    """Bit by bit."""
    try:
        dataset = client.retrieve_instance(*one.uids, media_types=AS_STORED)
        assert dataset.SOPInstanceUID == one.sop
    except (InvalidDicomError, OSError) as error:  # of the client's own reader, pydicom
        with pytest.raises(type(error)):
            pydicom.dcmread(io.BytesIO(one.data))
    assert client.parts == [one.data]
    return 1


def reads_frames_as_stored(client: Recording, one: Stored) -> int:
    """All of them, with the client's default Accept; one with the type that the standard names."""
    expected = frames(one)
    if expected:
        numbers = list(range(1, len(expected) + 1))
        assert client.retrieve_instance_frames(*one.uids, frame_numbers=numbers) == expected
    if expected and (one.syntax in CODECS or not one.compressed):
        explicit = ((CODECS[one.syntax], one.syntax),) if one.compressed else OCTETS
        assert client.retrieve_instance_frames(*one.uids, frame_numbers=[1], media_types=explicit) == expected[:1]
    return len(expected)


Question = Callable[[Recording, Stored], int]
QUESTIONS: list[Question] = [finds_it, reads_metadata, reads_bulk_data, reads_it_as_stored, reads_frames_as_stored]


def frames(one: Stored) -> list[bytes]:
    """The first frames that pydicom or a knife cuts out; none where neither knows how to."""
    pixels, count = one.metadata[1].get("@/bulkdata/7FE00010", b""), one.first("00280008", 1)
    if not pixels or not isinstance(count, int):
        return []
    if one.compressed:
        try:
            return [get_frame(pixels, index, number_of_frames=count) for index in range(min(count, AT_MOST))]
        except ValueError:
            return []  # videos, and fragments that nobody can tell apart
    samples = 2 if one.first("00280004") == "YBR_FULL_422" else one.first("00280002", 1)
    bits = one.first("00280010", 0) * one.first("00280011", 0) * samples * one.first("00280100", 0)
    return [_cut(pixels, index * bits, bits) for index in range(min(count, AT_MOST)) if bits * (index + 1) <= len(pixels) * 8]


def _cut(pixels: bytes, start: int, bits: int) -> bytes:
    """Some bits, the first of a byte being its lowest (PS3.5 8.1.1)."""
    some = pixels[start // 8 : (start + bits + 7) // 8]
    if start % 8 == bits % 8 == 0:
        return some
    return (int.from_bytes(some, "little") >> start % 8 & ((1 << bits) - 1)).to_bytes((bits + 7) // 8, "little")


def moved(attributes: Any) -> Any:
    """The URIs of bulk data as `described` writes them."""
    if isinstance(attributes, dict):
        if "BulkDataURI" in attributes:
            return attributes | {"BulkDataURI": "@/bulkdata/" + attributes["BulkDataURI"].partition("/bulkdata/")[2]}
        return {key: moved(value) for key, value in attributes.items()}
    return [moved(value) for value in attributes] if isinstance(attributes, list) else attributes


def uris(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "BulkDataURI" in value:
            yield value["BulkDataURI"]
        for inner in value.values():
            yield from uris(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from uris(inner)


@dataclass
class Report:
    answered: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def ask(self, question: Question, client: Recording, one: Stored) -> None:
        name = question.__name__
        try:
            self.answered[name] += question(client, one)
        except Exception as error:
            self.failures.append(f"{one.path.name} {name}: {type(error).__name__} {str(error)[:300]}")


@pytest.mark.timeout(900)
def test_what_is_stored_is_found_and_read_back(gateway: Gateway, client: Recording) -> None:
    raw, report, sops, files = Client(gateway.url), Report(), set(), 0
    for path in readable():
        data = path.read_bytes()
        status, stored = raw.store([data])
        if status != 200:
            continue  # tests/flows/test_corpus.py has them all, with the reasons
        (sop,) = stored
        sops.add(sop)
        files += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of odd values
            for question in QUESTIONS:
                report.ask(question, client, Stored(path, data, sop))
    print(f"\n{files} files, {len(sops)} instances: {dict(report.answered)}")  # noqa: T201 - for -s
    assert report.failures == [], "\n".join(report.failures)
    assert files > 200 and min(report.answered.values()) >= files
    page_by_page(client, sops)


def page_by_page(client: Recording, sops: set[str]) -> None:
    """All instances in pages, by the client's own iteration and by hand: each once, in one order."""
    whole = [one["00080018"]["Value"][0] for one in client.search_for_instances(get_remaining=True, limit=17)]
    assert len(whole) == len(sops) and set(whole) == sops
    by_hand = [client.search_for_instances(limit=50, offset=offset) for offset in range(0, len(whole), 50)]
    assert [one["00080018"]["Value"][0] for page in by_hand for one in page] == whole
    for search in (client.search_for_studies, client.search_for_series):
        every = search(get_remaining=True, limit=9)
        assert every == search(limit=len(every)) and search(limit=5, offset=len(every)) == []


def test_what_is_deleted_is_gone(gateway: Gateway, client: Recording) -> None:
    raw = Client(gateway.url)
    some = [Path(str(get_testdata_file(name, download=False))) for name in ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm")]
    deletes: tuple[Callable[..., None], ...] = (client.delete_instance, client.delete_series, client.delete_study)
    for depth, (path, delete) in enumerate(zip(some, deletes, strict=True)):
        _, (sop,) = raw.store([path.read_bytes()])
        one = Stored(path, path.read_bytes(), sop)
        finds_it(client, one)
        delete(*one.uids[: 3 - depth])
        assert client.search_for_instances(search_filters={"SOPInstanceUID": sop}) == []
        with pytest.raises(requests.HTTPError, match=r"404|410"):
            client.retrieve_instance_metadata(*one.uids)
