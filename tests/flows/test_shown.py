"""Every file at hand is shown, or refused for a reason that is listed here; DICOM_CORPUS brings more. ``-s`` prints what was refused.

Files without UIDs go through a copy that has some. Each is looked at alone.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO

from gateway.backends.base import View
from gateway.dicom.header import Instance, peek
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError, InstanceError
from tests.backends.made import read
from tests.backends.pictured.gallery import Gallery
from tests.dicom.archive import readable

CORPUS = "DICOM_CORPUS" in os.environ
LARGEST = (8 << 20) if CORPUS else (150 << 10)
"""Bytes of a file that is shown: large ones take seconds, and are like small ones."""

NOTHING = "there is nothing to be seen in it"
REFUSED = {
    NOTHING: "reports, plans, structure sets, key objects",
    "pixel data in transfer syntax [0-9.]+ cannot be decoded here": "a syntax without a decoder",
    "frame 1 is not there: the instance has 0 frames": "pixel data that is shorter than one frame",
    "the instance has no pixel data that frames could be cut out of": "rows and columns, and no pixels",
    "the images that the presentation state refers to are not here": "a state alone",
    "a frame of transfer syntax [0-9.]+ (holds|is damaged|cannot be decoded|is cut|needs)": "damaged codestreams",
    "pictures of Photometric Interpretation": "colours that are retired, or none",
    "a frame .*(bytes|pixels)": "frames that are not as long or large as is said",
}
"""What is refused, and what that is."""


def _named(path: Path) -> bytes | None:
    """The file with UIDs; None for what is no data set."""
    data = path.read_bytes()
    if _has_uids(data):
        return data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            file = pydicom.dcmread(DicomBytesIO(data), force=True)
            for keyword, uid in (("StudyInstanceUID", "1.1"), ("SeriesInstanceUID", "1.1.1"), ("SOPInstanceUID", "1.1.1.1")):
                setattr(file, keyword, uid)
            file.SOPClassUID = file.get("SOPClassUID") or "1.2.840.10008.5.1.4.1.1.7"
            out = io.BytesIO()
            pydicom.dcmwrite(out, file, enforce_file_format=True, implicit_vr=file.is_implicit_VR, little_endian=file.is_little_endian)
        except Exception:  # whatever pydicom cannot write is no sample of a picture
            return None
    return out.getvalue() if _has_uids(out.getvalue()) else None


def _has_uids(data: bytes) -> bool:
    try:
        return isinstance(peek(data, final=True), Instance)
    except InstanceError:
        return False


async def _shown(gallery: Gallery, resource: Resource, view: View) -> str:
    """The media type that came, or why none did."""
    try:
        body = await gallery.body(resource, "image/png, */*;q=0.5", view=view)
        assert len(await read(body)) > 20
    except GatewayError as error:
        return error.message
    return body.media_type


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # in a pixel process nobody would see them
async def test_every_file_is_shown_or_refused_for_a_reason(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    shown, wrong, met = 0, [], set()
    for path in readable():
        if path.stat().st_size > LARGEST or (data := _named(path)) is None:
            continue
        try:
            resource = await gallery.add(data)
        except AssertionError:
            continue
        for view in (View.RENDERED, View.THUMBNAIL):
            said = await _shown(gallery, resource, view)
            if re.fullmatch(r"[a-z]+/[-+a-z0-9]+", said):
                shown += 1
                continue
            reason = next((reason for reason in REFUSED if re.match(reason, said)), None)
            met.add(reason)
            print(f"{path.name} {view.value}: {said}")  # noqa: T201 - for those who look with -s
            if reason is None or (view is View.THUMBNAIL and reason == NOTHING):
                wrong.append((path.name, view.value, said))
        await gallery.inner.delete(Resource(resource.study))
    assert wrong == []
    assert shown > 100
    assert NOTHING in met
