"""A gateway process in front of Debian's Orthanc: what fails there works here, each thing asked of both; the rest is as at home.

"At home" is a gateway with an embedded store that holds the same files. With DICOM_CORPUS=FOLDER the files of that folder go
the same way, and what they differ in is printed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from tests.backends.made import FIRST, dicom, named
from tests.flows.client import Client
from tests.flows.ours import Attributes
from tests.flows.test_dicomweb_client import QUESTIONS, Recording, Report, Stored, uris
from tests.origins.orthanc import Direct, Orthanc, shared, start
from tests.running import Gateway, running
from tests.web.gate import multipart

FIRST_PATH = named(*FIRST).path
MULTIPART = 'multipart/related; type="application/dicom"; boundary=here'
JSON = "application/dicom+json"
FILES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "rtplan.dcm", "SC_rgb_small_odd.dcm", "ExplVR_BigEnd.dcm")


@dataclass(frozen=True)
class Both:
    """The origin, and the gateway in front of it."""

    origin: Orthanc
    gateway: Gateway

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[Direct, Direct]:
        """The same request to the origin and through the gateway."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        there, here = (one.ask(method, f"/dicom-web{path}", body, given) for one in (self.origin, self.here))
        return there, here

    @property
    def here(self) -> Orthanc:
        """The gateway, asked as the origin is."""
        return Orthanc(self.gateway.root, self.gateway.folder)

    @property
    def direct(self) -> DICOMwebClient:
        return DICOMwebClient(self.origin.url)

    @property
    def through(self) -> Recording:
        return Recording(self.gateway.url)


@pytest.fixture(scope="module")
def orthanc() -> Orthanc:
    return shared()


@pytest.fixture(scope="module")
def gateway(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """It keeps nothing: tests store, empty and upload behind its back."""
    flags = ("--workers", "1", "--upstream", orthanc.url, "--profile", "orthanc")
    with running(tmp_path_factory.mktemp("upstream"), *flags, environment={"GATEWAY_STORES__DEFAULT__CACHE": "false"}) as started:
        yield started


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    replaces = {"GATEWAY_STORES__DEFAULT__ON_DUPLICATE": "replace"}
    with running(tmp_path_factory.mktemp("home"), "--workers", "1", environment=replaces) as started:
        yield started


@pytest.fixture
def both(orthanc: Orthanc, gateway: Gateway) -> Both:
    orthanc.empty()
    return Both(orthanc, gateway)


def sample(name: str) -> Stored:
    path = Path(str(get_testdata_file(name, download=False)))
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return Stored(path, path.read_bytes(), str(dataset.SOPInstanceUID))


# -- what fails directly


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtdose.dcm"])
def test_default_frames_of_dicomweb_client(both: Both, name: str) -> None:
    one = sample(name)
    both.origin.upload(one.data)
    with pytest.raises(requests.HTTPError, match="400"):
        both.direct.retrieve_instance_frames(*one.uids, frame_numbers=[1])
    dataset = pydicom.dcmread(one.path)
    length = len(dataset.PixelData) // int(dataset.get("NumberOfFrames", 1))
    assert both.through.retrieve_instance_frames(*one.uids, frame_numbers=[1]) == [dataset.PixelData[:length]]


def test_compressed_frames_as_they_are_stored(both: Both) -> None:
    one = sample("JPEG2000.dcm")
    both.origin.upload(one.data)
    with pytest.raises(requests.HTTPError, match="400"):
        both.direct.retrieve_instance_frames(*one.uids, frame_numbers=[1])
    expected = list(generate_frames(pydicom.dcmread(one.path).PixelData, number_of_frames=1))
    assert both.through.retrieve_instance_frames(*one.uids, frame_numbers=[1]) == expected


def test_bulk_data_at_the_uris_of_the_metadata(both: Both) -> None:
    one = sample("CT_small.dcm")
    both.origin.upload(one.data)
    there = list(uris(both.direct.retrieve_instance_metadata(*one.uids)))
    assert there
    for uri in there:
        path = uri.partition("/dicom-web")[2]
        assert not uri.startswith(both.origin.url)  # it leaves its own port out
        with pytest.raises(requests.HTTPError, match="400"):
            both.direct.retrieve_bulkdata(both.origin.url + path)
    here = list(uris(both.through.retrieve_instance_metadata(*one.uids)))
    for uri in here:
        assert both.through.retrieve_bulkdata(uri) == [one.metadata[1]["@/bulkdata/" + uri.partition("/bulkdata/")[2]]]
    assert [uri.rpartition("/")[2].lower() for uri in there] == [uri.rpartition("/")[2].lower() for uri in here]


def test_a_store_of_a_single_part(both: Both) -> None:
    data = dicom()
    there, here = both.ask("POST", "/studies", data, Content_Type="application/dicom", Accept=JSON)
    assert (there.status, here.status) == (415, 200)
    assert here.json["00081199"]["Value"][0]["00081155"]["Value"] == [FIRST[2]]
    assert both.through.retrieve_instance(*FIRST).PixelData == bytes(range(32)) and both.origin.instances == 1


def test_a_store_whose_multipart_has_no_type(both: Both) -> None:
    there, here = both.ask("POST", "/studies", multipart(dicom()), Content_Type="multipart/related; boundary=here", Accept=JSON)
    assert (there.status, here.status) == (415, 200)
    assert both.origin.instances == 1


@pytest.mark.parametrize("accept", ["application/dicom", "application/dicom; transfer-syntax=*"])
def test_an_instance_as_a_single_part(both: Both, accept: str) -> None:
    both.origin.upload(dicom())
    there, here = both.ask("GET", FIRST_PATH, Accept=accept)
    assert (there.status, here.status) == (400, 200)
    assert here.body == dicom() and here.headers["Content-Type"].startswith("application/dicom")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_deletes(both: Both, depth: int) -> None:
    both.origin.upload(dicom(), dicom("1.2", "1.2.1", "1.2.1.1"))
    path = named(*FIRST[:depth]).path
    there, here = both.ask("DELETE", path)
    assert (there.status, here.status) == (405, 204)
    assert both.ask("GET", f"{path}/metadata")[1].status in (404, 410)
    assert both.origin.instances == 1


def test_options(both: Both) -> None:
    there, here = both.ask("OPTIONS", "/studies")
    assert (there.status, here.status) == (404, 204)
    assert {"GET", "POST"} <= set(here.headers["Allow"].replace(" ", "").split(","))


# -- what must not get there


def test_an_empty_study_uid_is_refused_and_not_lost(both: Both) -> None:
    there, here = both.ask("POST", "/studies", multipart(dicom(study="")), Content_Type=MULTIPART, Accept=JSON)
    assert there.status == 200 and not any("Value" in there.json[key] for key in ("00081198", "00081199"))  # gone without a word
    assert here.status == 409 and "Study Instance UID" in here.headers["Warning"]
    assert both.origin.instances == 0


def nested(depth: int) -> bytes:
    """An instance with a sequence in a sequence in a sequence, each of undefined length."""
    whole = dicom()
    at = whole.index(b"\xe0\x7f\x10\x00")
    opening = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return whole[:at] + opening * depth + closing * depth + whole[at:]


def test_what_kills_orthanc_is_refused(both: Both, tmp_path: Path) -> None:
    victim, process = start(tmp_path)
    try:
        with pytest.raises(ConnectionError):
            victim.ask("POST", "/dicom-web/studies", multipart(nested(5000)), {"Content-Type": MULTIPART})
        assert process.wait(30) != 0
    finally:
        process.kill()
        process.wait()
    here = both.here.ask("POST", "/dicom-web/studies", multipart(nested(5000), dicom(sop="1.1.1.2")), {"Content-Type": MULTIPART})
    assert here.status == 202 and "sequences inside each other" in here.headers["Warning"]
    assert both.origin.instances == 1  # it lives, and the one beside has arrived


# -- the rest is as at home

STANDARD = frozenset(
    """
    00080020 00080030 00080050 00080056 00080061 00080090 00081190 00100010 00100020 00100030 00100040 0020000D 00200010 00201206 00201208
    00080060 0008103E 0020000E 00200011 00201209 00400244 00400245
    00080016 00080018 00200013 00280008 00280010 00280011 00280100
    """.split()
)
"""What results show of studies, series and instances (PS3.18 tables 10.6.3-3 to 10.6.3-5). An embedded store shows more
unasked. Of Request Attributes Sequence, which Orthanc's searches do not show, the header of an instance of each series has to be
read: it comes to those who ask."""

FIELDS = ("00400275", "00081010", "00080080", "00101030", "00180050", "00280004", "00081030", "00083002")
"""What is asked for besides: station, institution, weight, slice thickness, photometry, description, transfer syntax."""

ENCODING = "00080005"
"""DICOM JSON is UTF-8; who says so when there is nothing but ASCII differs."""

Ask = Callable[[DICOMwebClient, Stored], list[Attributes]]


def _searched(**options: Any) -> dict[str, Ask]:
    """The searches at and below each level."""
    return {
        "studies": lambda client, one: client.search_for_studies(search_filters={"StudyInstanceUID": one.uids[0]}, **options),
        "series": lambda client, one: client.search_for_series(search_filters={"SeriesInstanceUID": one.uids[1]}, **options),
        "series of a study": lambda client, one: client.search_for_series(one.uids[0], **options),
        "instances": lambda client, one: client.search_for_instances(search_filters={"SOPInstanceUID": one.sop}, **options),
        "instances of a study": lambda client, one: client.search_for_instances(one.uids[0], **options),
        "instances of a series": lambda client, one: client.search_for_instances(*one.uids[:2], **options),
    }


METADATA: dict[str, Ask] = {
    "metadata of a study": lambda client, one: client.retrieve_study_metadata(one.uids[0]),
    "metadata of a series": lambda client, one: client.retrieve_series_metadata(*one.uids[:2]),
    "metadata of an instance": lambda client, one: [client.retrieve_instance_metadata(*one.uids)],
}


def differences(upstream: Gateway, home: Gateway, one: Stored) -> list[str]:
    """Whatever is answered otherwise in front of an origin than at home: the question, the attribute and both its values."""
    found: list[str] = []
    for questions, needed in ((_searched(), STANDARD), (_searched(fields=FIELDS), STANDARD | {*FIELDS}), (METADATA, None)):
        for name, ask in questions.items():
            here, there = (_relative(gateway.url, ask(Recording(gateway.url), one)) for gateway in (home, upstream))
            assert len(here) == len(there) > 0, name
            found += [f"{name}: {apart}" for pair in zip(here, there, strict=True) for apart in _apart(*pair, needed)]
    return found


def _relative(base: str, answer: list[Attributes]) -> list[Attributes]:
    relative: list[Attributes] = json.loads(json.dumps(answer).replace(base, "@"))
    return relative


def _apart(here: Attributes, there: Attributes, needed: Collection[str] | None) -> Iterator[str]:
    """:param needed: what both must show; None for all."""
    for key in sorted((here.keys() | there.keys()) - {ENCODING}):
        lacking = key not in there and needed is not None and key not in needed
        if here.get(key) != there.get(key) and not lacking:
            yield f"{key} {str(here.get(key))[:100]} != {str(there.get(key))[:100]}"


@pytest.mark.parametrize("name", FILES)
def test_answers_are_those_of_an_embedded_store(both: Both, home: Gateway, name: str) -> None:
    one = sample(name)
    for gateway in (home, both.gateway):
        assert Client(gateway.url).store([one.data]) == (200, [one.sop])
    assert differences(both.gateway, home, one) == []
    report = Report()
    for question in QUESTIONS:
        report.ask(question, both.through, one)
    assert report.failures == [] and report.answered["reads_it_as_stored"] == 1
    Client(home.url).request("DELETE", f"/studies/{one.uids[0]}")  # others are of the same study


if "DICOM_CORPUS" in os.environ:  # a folder of files that is not part of the project

    @pytest.mark.timeout(1800)
    @pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of odd values
    def test_the_corpus_in_front_of_orthanc_and_at_home(both: Both, home: Gateway) -> None:
        counts: Counter[str] = Counter()
        said: list[str] = []
        for path in sorted(Path(os.environ["DICOM_CORPUS"]).rglob("*.dcm")):
            outcome, found = _asked_of_both(both, home, path)
            counts[outcome] += 1
            counts["alike in everything"] += outcome == "stored" and not found
            said += [f"{path.parent.name}/{path.name} {outcome}: {line}" for line in found]
        print("\n".join([str(dict(counts)), *said]))  # noqa: T201 - the table is what such a run is for
        assert counts["stored"] > counts["refused by Orthanc"] and not counts["stored in front of Orthanc alone"]

    def _asked_of_both(both: Both, home: Gateway, path: Path) -> tuple[str, list[str]]:
        """What became of a file, and whatever differs."""
        both.origin.empty()
        data = path.read_bytes()
        (_, kept), (_, stored) = (Client(gateway.url).store([data]) for gateway in (home, both.gateway))
        if not kept:
            return ("stored in front of Orthanc alone" if stored else "refused by both"), []
        one, report = Stored(path, data, kept[0]), Report()
        try:
            if not stored:
                direct = both.origin.ask("POST", "/instances", data)
                return "refused by Orthanc", [f"{direct.status} directly"]
            found = differences(both.gateway, home, one)
            for question in QUESTIONS:
                report.ask(question, both.through, one)
            return "stored", [*found, *report.failures]
        except Exception as error:
            return "stored", [f"{type(error).__name__} {str(error)[:300]}"]
        finally:
            Client(home.url).request("DELETE", f"/studies/{one.uids[0]}")
