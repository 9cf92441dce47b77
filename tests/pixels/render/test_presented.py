"""A state in place of what the image says, against DCMTK too."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image as Picture

from gateway.dicomweb.rendering import AS_IT_IS
from gateway.dicomweb.resources import Resource
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.presented import Presented, merged, references, referring
from gateway.pixels.render.wanted import narrowed
from tests.backends.pictured.gallery import item, state
from tests.backends.pictured.picturing import Sample
from tests.flows.ours import described
from tests.pixels.render.subject import Whole, subject

CT_SMALL = Sample("CT_small.dcm")


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


IMAGE: dict[str, Any] = {
    "00080060": element("CS", "CT"),
    "00281050": element("DS", "1"),
    "00281051": element("DS", "2"),
    "00281052": element("DS", "-1024"),
    "60000010": element("US", 8),
    "60020010": element("US", 9),
    "52009229": element("SQ", {"00289145": element("SQ", {}), "00289132": element("SQ", {}), "00289110": element("SQ", {})}),
}


def test_the_state_alone_says_how_values_are_shown() -> None:
    changed = {"00281053": element("DS", "2"), "00283110": element("SQ", {"00281050": element("DS", "40")})}
    data = merged(IMAGE, Attributes(changed), "1.2", 1)
    assert data["00281050"] == element("DS", "40")
    assert data["00281053"] == element("DS", "2")
    assert "00281051" not in data
    assert "00281052" not in data
    assert list(data["52009229"]["Value"][0]) == ["00289110"]
    assert data["00080060"] == IMAGE["00080060"]


def test_overlays_that_the_state_activates() -> None:
    active = {
        "60021001": element("CS", "A"),
        "60041001": element("CS", "A"),
        "60043000": {"vr": "OW", "BulkDataURI": "@/bulkdata/60043000"},
        "60063000": {"vr": "OW", "BulkDataURI": "@/bulkdata/60063000"},
    }
    overlays = {tag for tag in merged(IMAGE, Attributes(active), "1.2", 1) if tag.startswith("60")}
    assert overlays == {"60020010", "60041001", "60043000"}


def test_which_items_mean_an_image() -> None:
    def one_of(*references: tuple[str, list[str]]) -> Attributes:
        return Attributes(
            {
                "00081140": element(
                    "SQ", *[{"00081155": element("UI", uid), "00081160": element("IS", *frames)} for uid, frames in references]
                )
            }
        )

    all_images, one, frames = Attributes({}), one_of(("1.2", [])), one_of(("1.3", []), ("1.2", ["2", "3"]))
    assert referring([all_images, one, frames], "1.2", 2) == [all_images, one, frames]
    assert referring([all_images, one, frames], "1.2", 1) == [all_images, one]
    assert referring([all_images, one, frames], "1.9", 1) == [all_images]


def test_images_that_a_state_refers_to() -> None:
    image = {"00081155": element("UI", "1.2.1"), "00081160": element("IS", "3", "4")}
    data = {
        "00081115": element(
            "SQ", {"0020000E": element("UI", "1.2"), "00081140": element("SQ", image, {"00081155": element("UI", "1.2.2")})}
        )
    }
    assert references(data) == [("1.2", "1.2.1", (3, 4)), ("1.2", "1.2.2", ())]
    assert references({}) == []


@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE"])
def test_monochrome1_is_for_the_state_to_say(shape: str) -> None:
    numbers = {"00280010": 2, "00280011": 2, "00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0, "00280002": 1}
    header: dict[str, Any] = {tag: element("US", value) for tag, value in numbers.items()}
    header["00280004"] = element("CS", "MONOCHROME1")
    said = {
        "20500020": element("CS", shape),
        "00283110": element("SQ", {"00281050": element("DS", "128"), "00281051": element("DS", "256")}),
    }
    assert shown(header, bytes([10, 20, 30, 40]), said)[0, 0] == (10 if shape == "IDENTITY" else 245)


def shown(header: Any, frame: bytes, changed: Any, paths: dict[str, bytes] | None = None) -> Any:
    image = Image.of(header, "1.2.840.10008.1.2.1")
    assert image is not None
    sop = Attributes(header).text("00080018")
    work = Presented(image, 1, sop, "image/png", AS_IT_IS, PixelLimits(), (), tuple(paths or {}))
    given = [orjson.dumps(narrowed(header, 1)), orjson.dumps(changed), frame, *(paths or {}).values()]
    return np.asarray(Picture.open(io.BytesIO(bytes(work([Whole(one) for one in given]).content[0]))))


STATES: dict[str, dict[str, Any]] = {
    "window": {},
    "inverse": {"PresentationLUTShape": "INVERSE"},
    "turned": {"ImageRotation": 90, "ImageHorizontalFlip": "Y"},
    "flipped": {"ImageRotation": 0, "ImageHorizontalFlip": "Y"},
}


@pytest.mark.parametrize("name", STATES)
def test_as_dcmtk_shows_it(tmp_path: Path, name: str) -> None:
    """But for shutters, displayed areas and graphics, which DCMTK leaves to viewers."""
    image = Path(CT_SMALL.path)
    reference = item(ReferencedSOPClassUID=CT_SMALL.dataset.SOPClassUID, ReferencedSOPInstanceUID=CT_SMALL.uids[2])
    shows = item(
        DisplayedAreaTopLeftHandCorner=[1, 1],
        DisplayedAreaBottomRightHandCorner=[128, 128],
        PresentationSizeMode="SCALE TO FIT",
        PresentationPixelAspectRatio=[1, 1],
    )
    said: dict[str, Any] = {
        "SoftcopyVOILUTSequence": [item(WindowCenter=40, WindowWidth=400)],
        "DisplayedAreaSelectionSequence": [shows],
        "ReferencedSeriesSequence": [item(SeriesInstanceUID=CT_SMALL.uids[1], ReferencedImageSequence=[reference])],
        "RescaleIntercept": -1024,
        "RescaleSlope": 1,
        "RescaleType": "HU",
        "InstanceNumber": 1,
        "ContentLabel": "TEST",
        "PresentationCreationDate": "20260101",
        "PresentationCreationTime": "120000",
        "SeriesNumber": 1,
        "Manufacturer": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "StudyDate": "",
        "StudyTime": "",
        "StudyID": "",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
    }
    file = state(Resource(*CT_SMALL.uids), (CT_SMALL.uids[0], "1.9", "1.9.1"), **(said | STATES[name]))
    (tmp_path / "state.dcm").write_bytes(file)
    command = [shutil.which("dcmp2pgm") or "", "-p", str(tmp_path / "state.dcm"), str(image), str(tmp_path / "out.pgm")]
    subprocess.run(command, check=True, capture_output=True)
    theirs = np.asarray(Picture.open(tmp_path / "out.pgm")).astype(int)
    compare(CT_SMALL.data, file, theirs)


def compare(image: bytes, changed: bytes, theirs: Any) -> None:
    """Within a step of grey: the two round at different places."""
    data, values = described(changed)
    seen = subject(image)
    assert seen is not None
    paths = {path.rpartition("/bulkdata/")[2]: value for path, value in values.items()}
    ours = shown(seen.header, seen.frame(), data, paths).astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1


if "DICOM_CORPUS" in os.environ:  # a folder of files that is not part of the project

    @pytest.mark.parametrize("name", ["series/ct3_liver_seg/gsps_of_ct3slice_01.dcm", "series/mr16_dcm4che/gsps_of_mr16_01.dcm"])
    def test_as_dcmtk_shows_those_of_the_corpus(tmp_path: Path, name: str) -> None:
        file = Path(os.environ["DICOM_CORPUS"]) / name
        sop = references(described(file.read_bytes())[0])[0][1].encode()
        image = next(one for one in sorted(file.parent.glob("*.dcm")) if sop in one.read_bytes()[:4096] and one != file)
        command = [shutil.which("dcmp2pgm") or "", "-p", str(file), str(image), str(tmp_path / "out.pgm")]
        subprocess.run(command, check=True, capture_output=True)
        compare(image.read_bytes(), file.read_bytes(), np.asarray(Picture.open(tmp_path / "out.pgm")).astype(int))
