from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree  # only to read what was just written

import orjson
import pydicom
import pytest

from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.reasons import WarningReason as Loss
from gateway.dicomweb.responses import Detail, store_response, store_response_json, store_response_xml, store_status

BASE = "https://example.org/dicom-web"


@dataclass(frozen=True)
class Instance:
    study: str = "1.2"
    series: str = "1.2.3"
    sop: str = "1.2.3.4"
    sop_class: str = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class Stored:
    instance: Instance = Instance()
    warning: Loss | None = None


@dataclass(frozen=True)
class Failed:
    part: int = 1
    reason: Reason = Reason.CANNOT_UNDERSTAND
    detail: str = "not DICOM"
    sop_class: str | None = None
    sop: str | None = None


@dataclass(frozen=True)
class Result:
    stored: tuple[Stored, ...] = ()
    failed: tuple[Failed, ...] = ()


FULL = Failed(reason=Reason.OUT_OF_RESOURCES)
DUPLICATE = Failed(2, Reason.PROCESSING_FAILURE, "stored before with other bytes", "1.2.840.10008.5.1.4.1.1.4", "1.9")


@pytest.mark.parametrize(
    ("stored", "failed", "status"),
    [
        ((Stored(),), (), 200),
        ((Stored(), Stored()), (), 200),
        ((Stored(warning=Loss.COERCED),), (), 200),
        ((Stored(warning=Loss.ELEMENTS_DISCARDED),), (), 202),
        ((Stored(),), (Failed(),), 202),
        ((Stored(),), (FULL,), 202),
        ((), (Failed(),), 409),
        ((), (Failed(), FULL), 409),
        ((), (FULL, FULL), 507),
        ((), (), 400),
    ],
)
def test_status(stored: tuple[Stored, ...], failed: tuple[Failed, ...], status: int) -> None:
    assert store_status(stored, failed) == status


def test_everything_stored() -> None:
    assert store_response(Result((Stored(),)), BASE) == {
        "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.2"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
                    "00081155": {"vr": "UI", "Value": ["1.2.3.4"]},
                    "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/1.2/series/1.2.3/instances/1.2.3.4"]},
                }
            ],
        },
    }


def test_nothing_stored() -> None:
    answer = store_response(Result(failed=(Failed(), DUPLICATE)), BASE)
    assert list(answer) == ["00081190", "00081198", "0008119A"]
    assert answer["00081190"] == {"vr": "UR"}
    assert answer["00081198"]["Value"] == [
        {
            "00000902": {"vr": "LO", "Value": ["part 2: stored before with other bytes"]},
            "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.4"]},
            "00081155": {"vr": "UI", "Value": ["1.9"]},
            "00081197": {"vr": "US", "Value": [272]},
        }
    ]
    assert answer["0008119A"]["Value"] == [
        {"00000902": {"vr": "LO", "Value": ["part 1: not DICOM"]}, "00081197": {"vr": "US", "Value": [0xC000]}}
    ]


def test_keys_ascend_at_every_level() -> None:
    answer = store_response(Result((Stored(warning=Loss.COERCED),), (Failed(), DUPLICATE)), BASE)
    assert list(answer) == ["00081190", "00081198", "00081199", "0008119A"]
    items = [item for key in list(answer)[1:] for item in answer[key]["Value"]]
    assert len(items) == 3
    assert all(list(item) == sorted(item) for item in items)


def test_a_warning_is_named() -> None:
    (item,) = store_response(Result((Stored(warning=Loss.COERCED),)), BASE)["00081199"]["Value"]
    assert item["00081196"] == {"vr": "US", "Value": [0xB000]}


def test_instances_of_several_studies_have_no_common_url() -> None:
    answer = store_response(Result((Stored(), Stored(Instance(study="1.3")))), BASE)
    assert answer["00081190"] == {"vr": "UR"}
    assert [item["00081190"]["Value"][0].split("/")[5] for item in answer["00081199"]["Value"]] == ["1.2", "1.3"]


def test_a_long_detail_fits_its_value_representation() -> None:
    (item,) = store_response(Result(failed=(Failed(detail="x" * 100),)), BASE)["0008119A"]["Value"]
    (comment,) = item["00000902"]["Value"]
    assert len(comment) == 64
    assert comment.endswith("x...")


def test_a_failed_instance_of_unknown_class_keeps_its_uid() -> None:
    (item,) = store_response(Result(failed=(Failed(sop="1.9"),)), BASE)["00081198"]["Value"]
    assert item["00081150"] == {"vr": "UI"}
    assert item["00081155"] == {"vr": "UI", "Value": ["1.9"]}


def test_pydicom_reads_the_json() -> None:
    result = Result((Stored(),), (Failed(), DUPLICATE))
    assert orjson.loads(store_response_json(result, BASE)) == store_response(result, BASE)
    read = pydicom.Dataset.from_json(store_response_json(result, BASE).decode())
    assert read.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert read.FailedSOPSequence[0].FailureReason == 272
    assert read.OtherFailuresSequence[0].ErrorComment == "part 1: not DICOM"


@pytest.mark.parametrize("namespace", [True, False])
def test_client_dcmweb_finds_the_retrieve_url_in_the_xml(namespace: bool) -> None:
    xml = store_response_xml(Result((Stored(),), (DUPLICATE,)), BASE, namespace=namespace)
    root = ElementTree.fromstring(xml)  # noqa: S314 - our own text
    prefix = root.tag.removesuffix("NativeDicomModel")
    assert bool(prefix) == namespace
    attributes = {e.get("keyword"): e for e in root}
    assert list(attributes) == ["RetrieveURL", "FailedSOPSequence", "ReferencedSOPSequence"]
    assert attributes["RetrieveURL"].findtext(f"{prefix}Value") == f"{BASE}/studies/1.2"
    assert all(e.get("keyword") for e in root.iter(f"{prefix}DicomAttribute"))


DETAIL = Detail(0x00991000, "somebody", "FailureDetail")


def test_a_private_attribute_takes_a_whole_sentence() -> None:
    sentence = "a long one, " * 20
    answer = store_response(Result(failed=(Failed(detail=sentence), DUPLICATE)), BASE, DETAIL)
    (known,), (unknown,) = answer["00081198"]["Value"], answer["0008119A"]["Value"]
    assert list(known) == sorted(known) and "00000902" not in known
    assert known["00990010"] == {"vr": "LO", "Value": ["somebody"]}
    assert known["00991000"] == {"vr": "ST", "Value": [f"part 2: {DUPLICATE.detail}"]}
    assert unknown["00991000"]["Value"] == [f"part 1: {sentence}"]
    (cut,) = store_response(Result(failed=(Failed(detail="x" * 2000),)), BASE, DETAIL)["0008119A"]["Value"]
    assert len(cut["00991000"]["Value"][0]) == 1024


def test_it_is_named_in_xml() -> None:
    root = ElementTree.fromstring(store_response_xml(Result(failed=(DUPLICATE,)), BASE, namespace=False, detail=DETAIL))  # noqa: S314 - our own
    (found,) = root.iterfind(".//DicomAttribute[@keyword='FailureDetail']")
    assert (found.get("tag"), found.get("vr"), found.get("privateCreator")) == ("00990000", "ST", "somebody")
    assert found.findtext("Value") == f"part 2: {DUPLICATE.detail}"
