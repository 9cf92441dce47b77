"""What dicomweb-client expects of servers, by the files that its own tests replay (PyPI dicomweb-client, MIT licence).

`GOLDEN` holds the values of its ``retrieve_instance_metadata.json``. Their data set, that of its ``file.dcm``, is built here
again, and what we say of it must be the same, but for the two `DEVIATIONS`. Its ``store.xml`` is an answer to a store request
with two instances stored and two refused; ours must be the same data set to the client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from dicomweb_client.web import _load_xml_dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from gateway.backends.base import Failed, Stored, StoreResult
from gateway.dicom import dictionary
from gateway.dicom.header import Instance
from gateway.dicom.part10 import EXPLICIT
from gateway.dicomweb.nativexml import native_xml
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.dicomweb.responses import store_response_xml
from tests.flows.ours import Attributes, described
from tests.samples import written

_UID = "1.2.826.0.1.3680043.8.498."
GOLDEN = {
    "00080016": ("UI", "1.2.840.10008.5.1.4.1.1.7"),
    "00080018": ("UI", _UID + "13592916866760227856872573295366023962"),
    "00080023": ("DA", "20180317"),
    "00080033": ("TM", "223515.337005"),
    "00080060": ("CS", "SM"),
    "0020000D": ("UI", _UID + "66601875747381723929536900961894771057"),
    "0020000E": ("UI", _UID + "18943696704282713903667669611529861958"),
    "00280002": ("US", "3"),
    "00280004": ("CS", "RGB"),
    "00280006": ("US", "0"),
    "00280010": ("US", "10"),
    "00280011": ("US", "10"),
    "00280100": ("US", "8"),
    "00280101": ("US", "8"),
    "00280102": ("US", "7"),
    "00280103": ("US", "0"),
}
BULK = "/bulk/7fe00010"
PIXELS = b"\x01" * 300

DEVIATIONS: dict[str, Callable[[Attributes, Attributes], bool]] = {
    "numbers of VR US are strings there; PS3.18 table F.2.3-1 has numbers": lambda ours, theirs: (
        ours["vr"] == theirs["vr"] == "US" and [str(value) for value in ours["Value"]] == theirs["Value"]
    ),
    "bulk data is at another path; any URL will do (PS3.18 F.2.6)": lambda ours, theirs: (
        ours["vr"] == theirs["vr"] == "OB" and ours["BulkDataURI"] == "@/bulkdata/7FE00010" and theirs["BulkDataURI"] == BULK
    ),
}


def golden_file() -> bytes:
    ds = Dataset()
    for tag, (vr, value) in GOLDEN.items():
        setattr(ds, keyword_for_tag(tag), int(value) if vr == "US" else value)
    ds.PixelData = PIXELS
    ds["PixelData"].VR = "OB"
    return written(ds)


def test_metadata_is_what_the_client_expects() -> None:
    ours, bulk = described(golden_file())
    theirs: Attributes = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in GOLDEN.items()}
    theirs["7FE00010"] = {"vr": "OB", "BulkDataURI": BULK}
    assert list(ours) == list(theirs)
    met = set()
    for tag, attribute in ours.items():
        if attribute != theirs[tag]:
            (why,) = [why for why, holds in DEVIATIONS.items() if holds(attribute, theirs[tag])]
            met.add(why)
    assert met == set(DEVIATIONS)
    assert bulk == {"@/bulkdata/7FE00010": PIXELS}


def test_metadata_in_xml_has_the_same_values() -> None:
    """Where numbers are text there is no deviation."""
    ours, _ = described(golden_file())
    root = ElementTree.fromstring(native_xml(ours, dictionary.keyword))  # noqa: S314 - our own text
    values = {attribute.attrib["tag"]: (attribute.attrib["vr"], attribute[0].text) for attribute in root}
    assert values == GOLDEN | {"7FE00010": ("OB", None)}
    assert [attribute.attrib["keyword"] for attribute in root] == [keyword_for_tag(attribute.attrib["tag"]) for attribute in root]


BASE = "https://wadors.hospital.com"
CT, WRONG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.3.1.2.3.1"


def test_the_answer_to_a_store_is_the_same_data_set_to_the_client() -> None:
    """As in its ``store.xml``: one stored, one with B000, two of a class that is not taken. Error Comment is all that we add."""
    one, other = (Instance("1.1", "1.2", sop, CT, EXPLICIT) for sop in ("1.3", "1.4"))
    failed = (Failed(part, Reason.SOP_CLASS_NOT_SUPPORTED, "no", WRONG, f"1.{part}") for part in (8, 9))
    result = StoreResult((Stored(one), Stored(other, WarningReason.COERCED)), tuple(failed))
    read = _load_xml_dataset(ElementTree.fromstring(store_response_xml(result, BASE)))  # noqa: S314 - our own text
    items = [
        {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "1.3", "RetrieveURL": f"{BASE}/studies/1.1/series/1.2/instances/1.3"},
        {
            "ReferencedSOPClassUID": CT,
            "ReferencedSOPInstanceUID": "1.4",
            "RetrieveURL": f"{BASE}/studies/1.1/series/1.2/instances/1.4",
            "WarningReason": 45056,
        },
    ]
    assert [plain(item) for item in read.ReferencedSOPSequence] == items
    refused = [{"ReferencedSOPClassUID": WRONG, "ReferencedSOPInstanceUID": uid, "FailureReason": 290} for uid in ("1.8", "1.9")]
    assert [{name: value for name, value in plain(item).items() if name != "ErrorComment"} for item in read.FailedSOPSequence] == refused
    assert read.RetrieveURL == f"{BASE}/studies/1.1"
    assert {element.keyword for element in read} == {"RetrieveURL", "FailedSOPSequence", "ReferencedSOPSequence"}


def plain(item: Dataset) -> dict[str, Any]:
    return {element.keyword: element.value for element in item}
