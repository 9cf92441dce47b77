"""dicomweb-client gets the pixels of compressed instances, from a store of the gateway's own and from Debian's Orthanc behind it.

It is asked as people ask it: without a media type, for octets, for Explicit VR Little Endian. pydicom says what the pixels are. With
DICOM_CORPUS the compressed files of that folder and all of pydicom's go the same way, and what cannot be had is printed.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from gateway.pixels.syntaxes import NATIVE, is_lossy
from tests.backends.made import dicom
from tests.dicom.archive import readable, walk_of
from tests.flows.client import Client
from tests.flows.test_dicomweb_client import Recording, Stored
from tests.flows.test_dicomweb_client import frames as stored_frames
from tests.origins.orthanc import shared
from tests.running import Gateway, running

EXPLICIT = "1.2.840.10008.1.2.1"
FRAMES = 5
"""Frames of an instance that are asked for."""

FILES = """
    MR_small_RLE.dcm SC_rgb_rle_16bit_2frame.dcm SC_rgb_jpeg_dcmtk.dcm SC_rgb_small_odd_jpeg.dcm JPGExtended.dcm JPEG-LL.dcm
    MR_small_jpeg_ls_lossless.dcm MR_small_jp2klossless.dcm JPEG2000.dcm SC_rgb_gdcm_KY.dcm emri_small_jpeg_ls_lossless.dcm
    JPEG2000-embedded-sequence-delimiter.dcm
""".split()
"""One of each codec, grey and in colour, of one frame and of several; what is in the last one was made unreadable."""

UNJUDGED = {"JPGExtended.dcm"}
"""Of twelve bits, for which pydicom has no decoder that is free to be used here: it is compared with itself."""

UNREADABLE = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""Files of pydicom's that no decoder reads."""


@pytest.fixture(scope="module", params=["local", "orthanc"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    flags = ["--workers", "1"]
    if request.param == "orthanc":
        shared().empty()
        flags += ["--upstream", shared().url, "--profile", "orthanc"]
    with running(tmp_path_factory.mktemp(request.param), *flags) as started:
        yield started


def sample(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def compressed() -> Iterator[Path]:
    """Of the corpus and of pydicom."""
    for path in readable():
        walk = walk_of(path.read_bytes())
        if walk is not None and walk.syntax not in NATIVE:
            yield path


class Asked:
    """An instance that was stored through the gateway, and what a client makes of the answers."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self.data = path.read_bytes()
        status, stored = Client(gateway.url).store([self.data])
        self.stored = status == 200
        if self.stored:
            self.one = Stored(path, self.data, stored[0])
            self.client = Recording(gateway.url)
            self.expected = _pixels(pydicom.dcmread(io.BytesIO(self.data)))

    def check(self) -> None:
        """Every call of the client that gets pixels, as far as they are decoded."""
        client, uids = self.client, self.one.uids
        whole = client.retrieve_instance(*uids, media_types=(("application/dicom", EXPLICIT),))
        cells = stored_frames(Stored(self.one.path, client.parts[0], self.one.sop))
        for found in (whole, *client.retrieve_series(*uids[:2]), *client.retrieve_study(uids[0])):
            assert found.file_meta.TransferSyntaxUID == EXPLICIT
            self.check_pixels(_pixels(found))
        self.check_frames(cells)

    def check_as_stored(self) -> None:
        """What a client gets that says nothing."""
        numbers = self.numbers(len(stored_frames(self.one)))
        if numbers:
            found = self.client.retrieve_instance_frames(*self.one.uids, frame_numbers=numbers)
            assert found == stored_frames(self.one)[: len(numbers)]
        self.client.retrieve_instance(*self.one.uids)
        assert self.client.parts == [self.data]

    def check_frames(self, cells: list[bytes]) -> None:
        """Octets are the cells of the whole instance, together and one by one."""
        numbers = self.numbers(len(cells))
        assert self.octets(numbers) == cells[: len(numbers)] and numbers
        assert self.octets(numbers[-1:]) == cells[len(numbers) - 1 : len(numbers)]

    def octets(self, numbers: list[int]) -> list[bytes]:
        return self.client.retrieve_instance_frames(*self.one.uids, frame_numbers=numbers, media_types=("application/octet-stream",))

    def check_pixels(self, found: Any) -> None:
        if self.expected is None:  # the judge has no decoder for it
            return
        assert found.shape == self.expected.shape
        off = int(np.abs(found.astype(np.int64) - self.expected.astype(np.int64)).max())
        assert off <= (2 if is_lossy(self.one.syntax) else 0)

    def forget(self) -> None:
        if self.stored:
            self.client.delete_study(self.one.uids[0])

    @staticmethod
    def numbers(count: int) -> list[int]:
        return list(range(1, min(count, FRAMES) + 1))


def _pixels(dataset: Dataset) -> Any:
    """None where pydicom has no decoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pixel_array(dataset)
        except (RuntimeError, ValueError, AttributeError, NotImplementedError):
            return None


def refused(asked: Asked) -> str:
    """The reason of a 406, which names the stored transfer syntax; empty where all could be had."""
    answer: requests.Response | None = None
    try:
        asked.check()
    except requests.HTTPError as error:
        answer = error.response
    assert answer is None or (answer.status_code == 406 and asked.one.syntax in answer.text), answer.text
    return "" if answer is None else answer.text


@pytest.mark.parametrize("name", FILES)
def test_pixels_of_every_codec(gateway: Gateway, name: str) -> None:
    asked = Asked(gateway, sample(name))
    try:
        asked.check_as_stored()
        assert bool(refused(asked)) is (name in UNREADABLE)
        assert asked.expected is not None or name in UNREADABLE | UNJUDGED
    finally:
        asked.forget()


def test_a_study_of_several_codecs(gateway: Gateway) -> None:
    """Native ones among them: a store that tells only half way that something cannot be given would break off."""
    first = pydicom.dcmread(sample("MR_small_RLE.dcm"))
    study, series = str(first.StudyInstanceUID), str(first.SeriesInstanceUID)
    files = [dicom(study, f"{series}.9", "1.9.1")]
    for number, name in enumerate(("MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "MR_small.dcm"), 1):
        dataset = pydicom.dcmread(sample(name))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = study, series, f"1.9.2.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        out = io.BytesIO()
        dataset.save_as(out)
        files.append(out.getvalue())
    assert Client(gateway.url).store(files)[0] == 200
    client = Recording(gateway.url)
    for found in (client.retrieve_study(study), client.retrieve_series(study, series)):
        assert {one.file_meta.TransferSyntaxUID for one in found} == {EXPLICIT}
        cells = [one.PixelData for one in found if one.SOPInstanceUID.startswith("1.9.2.")]
        assert len(cells) == 4 and set(cells) == {pydicom.dcmread(sample("MR_small.dcm")).PixelData}
    assert len(client.retrieve_study(study)) == 5
    client.delete_study(study)


if "DICOM_CORPUS" in os.environ:  # a folder of files that is not part of the project

    @pytest.mark.timeout(1800)
    def test_pixels_of_everything_at_hand(gateway: Gateway) -> None:
        answered, reasons = 0, []
        for path in compressed():
            asked = Asked(gateway, path)
            try:
                if asked.stored:
                    reasons += [f"{path.name}: {reason}"] if (reason := refused(asked)) else []
                    answered += 1
            finally:
                asked.forget()
        print(f"\n{answered} instances, {len(reasons)} refused", *reasons, sep="\n")  # noqa: T201 - for -s
        assert answered > 50 and len(reasons) < answered / 3
