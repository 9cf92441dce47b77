"""Real clients over a real socket: dicomweb-client from PyPI, and curl."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file

from tests.running import Gateway, running

NAMES = ["CT_small.dcm", "US1_J2KR.dcm", "SC_rgb_rle_2frame.dcm", "emri_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("clients"), "--workers", "1") as started:
        yield started


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    found = {name: get_testdata_file(name, download=False) for name in NAMES}
    assert all(found.values()), found
    return {name: Path(str(path)) for name, path in found.items()}


@pytest.fixture(scope="module")
def client(gateway: Gateway, files: dict[str, Path]) -> DICOMwebClient:
    client = DICOMwebClient(url=gateway.url)
    answer = client.store_instances([pydicom.dcmread(path) for path in files.values()])
    assert len(answer.ReferencedSOPSequence) == len(files) and "FailedSOPSequence" not in answer
    return client


def _uids(path: Path) -> tuple[str, str, str]:
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    return str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)


def test_dicomweb_client_finds_what_it_stored(client: DICOMwebClient, files: dict[str, Path]) -> None:
    study, series, sop = _uids(files["CT_small.dcm"])
    assert study in {one["0020000D"]["Value"][0] for one in client.search_for_studies()}
    assert len(client.search_for_studies(limit=2)) == 2
    assert len(client.search_for_studies(get_remaining=True, limit=2)) == len({_uids(path)[0] for path in files.values()})
    (found,) = client.search_for_series(study)
    assert found["0020000E"]["Value"] == [series] and found["00201209"]["Value"] == [1]
    (found,) = client.search_for_instances(study, series, search_filters={"SOPInstanceUID": sop})
    assert found["00080018"]["Value"] == [sop]
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


@pytest.mark.parametrize("name", NAMES)
def test_dicomweb_client_reads_back_what_it_stored(client: DICOMwebClient, files: dict[str, Path], name: str) -> None:
    sent = pydicom.dcmread(files[name])
    back = client.retrieve_instance(*_uids(files[name]), media_types=(("application/dicom", "*"),))
    assert back == sent and back.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    (metadata,) = client.retrieve_study_metadata(_uids(files[name])[0])
    assert metadata["00080018"]["Value"] == [str(sent.SOPInstanceUID)]


@pytest.mark.parametrize("name", NAMES)
def test_dicomweb_client_reads_frames_as_stored(client: DICOMwebClient, files: dict[str, Path], name: str) -> None:
    sent = pydicom.dcmread(files[name])
    frames = client.retrieve_instance_frames(*_uids(files[name]), frame_numbers=[1])
    assert len(frames) == 1
    if sent.file_meta.TransferSyntaxUID.is_encapsulated:
        from pydicom.encaps import get_frame

        assert frames[0] == get_frame(sent.PixelData, 0, number_of_frames=int(sent.get("NumberOfFrames", 1)))
    elif sent.file_meta.TransferSyntaxUID.is_little_endian:
        assert frames[0] == sent.PixelData[: len(frames[0])]
    else:
        assert frames[0] == sent.pixel_array.astype("<u2").tobytes()


def test_dicomweb_client_asks_for_a_whole_study_and_series(client: DICOMwebClient, files: dict[str, Path]) -> None:
    study, series, _ = _uids(files["CT_small.dcm"])
    assert len(client.retrieve_study(study, media_types=(("application/dicom", "*"),))) == 1
    assert len(client.retrieve_series(study, series, media_types=(("application/dicom", "*"),))) == 1


def test_dicomweb_client_gets_bulk_data(client: DICOMwebClient, files: dict[str, Path]) -> None:
    sent = pydicom.dcmread(files["CT_small.dcm"])
    (metadata,) = client.retrieve_study_metadata(_uids(files["CT_small.dcm"])[0])
    (data,) = client.retrieve_bulkdata(metadata["7FE00010"]["BulkDataURI"])
    assert data == sent.PixelData


def test_native_transfer_syntaxes_come_as_explicit_little_endian(client: DICOMwebClient, files: dict[str, Path]) -> None:
    sent = pydicom.dcmread(files["MR_small_bigendian.dcm"])
    explicit = (("application/dicom", pydicom.uid.ExplicitVRLittleEndian),)
    back = client.retrieve_instance(*_uids(files["MR_small_bigendian.dcm"]), media_types=explicit)
    assert back.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (back.pixel_array == sent.pixel_array).all()


# -- curl


def _curl(*arguments: str) -> bytes:
    curl = shutil.which("curl")
    assert curl, "curl is missing: apt-get install curl"
    return subprocess.run([curl, "-sS", "--fail-with-body", "--max-time", "60", *arguments], check=True, capture_output=True).stdout


def test_curl_stores_lists_and_reads_back_bit_identical(gateway: Gateway, tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("JPEG2000.dcm", download=False)))
    answer = json.loads(_curl("-H", "Content-Type: application/dicom", "--data-binary", f"@{path}", f"{gateway.url}/studies"))
    url = answer["00081199"]["Value"][0]["00081190"]["Value"][0]
    study = _uids(path)[0]
    assert json.loads(_curl(f"{gateway.url}/studies?StudyInstanceUID={study}"))[0]["0020000D"]["Value"] == [study]
    back = tmp_path / "back.dcm"
    _curl("-H", "Accept: application/dicom; transfer-syntax=*", "-o", str(back), url)
    assert back.read_bytes() == path.read_bytes()
    head = _curl("-r", "128-131", "-H", "Accept: application/dicom; transfer-syntax=*", url)
    assert head == b"DICM"


def test_curl_without_a_content_type_is_sniffed(gateway: Gateway) -> None:
    path = get_testdata_file("CT_small.dcm", download=False)
    answer = json.loads(_curl("--data-binary", f"@{path}", f"{gateway.url}/studies"))
    assert "00081199" in answer


def test_a_compressed_instance_is_decoded_where_explicit_little_endian_is_meant(
    gateway: Gateway, files: dict[str, Path], tmp_path: Path
) -> None:
    study, series, sop = _uids(files["US1_J2KR.dcm"])
    back = tmp_path / "back.dcm"
    url = f"{gateway.url}/studies/{study}/series/{series}/instances/{sop}"
    _curl("-H", "Accept: application/dicom", "-o", str(back), url)
    made = pydicom.dcmread(back)
    assert made.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (made.pixel_array == pydicom.dcmread(files["US1_J2KR.dcm"]).pixel_array).all()


def test_a_form_that_cannot_be_had_is_406_and_names_what_is_stored(gateway: Gateway, files: dict[str, Path]) -> None:
    study, series, sop = _uids(files["US1_J2KR.dcm"])
    url = f"{gateway.url}/studies/{study}/series/{series}/instances/{sop}/frames/1"
    curl = shutil.which("curl")
    assert curl
    done = subprocess.run([curl, "-sS", "-w", "%{http_code}", "-H", "Accept: image/png", url], check=True, capture_output=True)
    assert done.stdout.endswith(b"406") and b"1.2.840.10008.1.2.4.90" in done.stdout


def test_what_was_read_is_a_dicom_file(client: DICOMwebClient, files: dict[str, Path]) -> None:
    back = client.retrieve_instance(*_uids(files["CT_small.dcm"]), media_types=(("application/dicom", "*"),))
    out = io.BytesIO()
    pydicom.dcmwrite(out, back)
    assert pydicom.dcmread(io.BytesIO(out.getvalue())).SOPInstanceUID == back.SOPInstanceUID
