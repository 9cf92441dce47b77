"""Frames in the words of each client that is known, of pictures that rest in each way: what comes, and that it holds the right pixels.

The pictures are one picture of pydicom, native and as others compressed it. A single frame comes by itself where it is asked for so,
and then in ranges, as readers of HTJ2K fetch a coarse picture first.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import pydicom
import pytest
import pytest_asyncio
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from tests import samples
from tests.flows.recorded import cornerstone_frame
from tests.web.gate import Answer, Gate, parts_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

NATIVE, RLE, JPEG_LS, J2K = (f"1.2.840.10008.1.2{end}" for end in (".1", ".5", ".4.80", ".4.90"))
LOSSLESS_JPEG, HTJ2K, BASELINE = (f"1.2.840.10008.1.2.4.{end}" for end in (70, 201, 50))
FILES = {NATIVE: "MR_small.dcm", RLE: "MR_small_RLE.dcm", JPEG_LS: "MR_small_jpeg_ls_lossless.dcm", J2K: "MR_small_jp2klossless.dcm"}
MEDIA = {NATIVE: "application/octet-stream", RLE: "image/dicom-rle", JPEG_LS: "image/jls", J2K: "image/jp2", HTJ2K: "image/jphc"}
MEDIA |= {LOSSLESS_JPEG: "image/jpeg", BASELINE: "image/jpeg"}

OCTETS = "application/octet-stream"
CORNERSTONE = ", ".join(f'multipart/related; type="{MEDIA[syntax]}"; transfer-syntax={syntax}' for syntax in (JPEG_LS, J2K, HTJ2K, RLE))


def shipped(name: str) -> pydicom.Dataset:
    path = get_testdata_file(name, download=False)
    assert path, f"{name} is missing: pip install pydicom"
    return pydicom.dcmread(Path(str(path)))


def uids(syntax: str) -> tuple[str, str, str]:
    number = list(FILES).index(syntax) + 1
    return f"1.7.{number}", f"1.7.{number}.1", f"1.7.{number}.1.1"


def frames(syntax: str) -> str:
    study, series, sop = uids(syntax)
    return f"/studies/{study}/series/{series}/instances/{sop}/frames"


def written(syntax: str) -> bytes:
    ds = shipped(FILES[syntax])
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = uids(syntax)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds)
    return out.getvalue()


PIXELS = shipped(FILES[NATIVE]).PixelData
STORED = {
    syntax: PIXELS if syntax == NATIVE else get_frame(shipped(name).PixelData, 0, number_of_frames=1) for syntax, name in FILES.items()
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(gate: Gate) -> Gate:
    await gate.store(*map(written, FILES), samples.encapsulated(3))
    return gate


def read(answer: Answer) -> tuple[str, str, bytes]:
    """Media type, transfer syntax and bytes of the only frame."""
    assert answer.status == 200, answer.body
    multipart = answer.headers["Content-Type"].startswith("multipart/related")
    media, data = parts_of(answer)[0] if multipart else (answer.headers["Content-Type"], answer.body)
    kind, _, syntax = media.partition("; transfer-syntax=")
    if multipart:
        assert cornerstone_frame(answer)[1] == data
    return kind, syntax or NATIVE, data


def pixels(syntax: str, data: bytes) -> bytes:
    """The pixels of a frame, little endian."""
    decode: Mapping[str, Any] = {
        JPEG_LS: imagecodecs.jpegls_decode,
        J2K: imagecodecs.jpeg2k_decode,
        HTJ2K: imagecodecs.htj2k_decode,
        LOSSLESS_JPEG: imagecodecs.jpeg8_decode,
    }
    if syntax == RLE:
        return bytes(imagecodecs.dicomrle_decode(data, "<u2"))
    return data if syntax == NATIVE else bytes(decode[syntax](data).tobytes())


# Whoever asks, what he sends, and what he is given of each of the four: None is what is stored.
ASKED: Mapping[str, tuple[str | None, Mapping[str, str | None]]] = {
    "OHIF, cornerstone": (f"multipart/related; type={OCTETS}; transfer-syntax=*", {}),
    "cornerstone, quoted": (f'multipart/related; type="{OCTETS}"; transfer-syntax="*"', {}),
    "dicomweb-client, nothing said": ('multipart/related; type="*/*"', {}),
    "dicomweb-client, octets": (f'multipart/related; type="{OCTETS}"', dict.fromkeys(FILES, NATIVE)),
    "dicomweb-client, octets with a syntax": (
        f'multipart/related; type="{OCTETS}"; transfer-syntax="{NATIVE}"',
        dict.fromkeys(FILES, NATIVE),
    ),
    "dicomweb-client, JPEG-LS": (f'multipart/related; type="image/jls"; transfer-syntax="{JPEG_LS}"', dict.fromkeys(FILES, JPEG_LS)),
    "dicomweb-client, JPEG 2000": ('multipart/related; type="image/jp2"', dict.fromkeys(FILES, J2K)),
    "dicomweb-client, any image": ('multipart/related; type="image/*"', {NATIVE: HTJ2K}),
    "microscopy": (f'{CORNERSTONE}, multipart/related; type="{OCTETS}"; transfer-syntax=*', {}),
    "ez-wsi-dicomweb": (f"multipart/related; type={OCTETS}; transfer-syntax={NATIVE}", dict.fromkeys(FILES, NATIVE)),
    "Google's guide": (f'multipart/related; type="{OCTETS}"; transfer-syntax=*', {}),
    "Google's guide, JPEG": (f'multipart/related; type="image/jpeg"; transfer-syntax={LOSSLESS_JPEG}', dict.fromkeys(FILES, LOSSLESS_JPEG)),
    "dicomtrolley, curl": ("*/*", {}),
    "nothing at all": (None, {}),
    "bare multipart": ("multipart/related", {}),
    "single, as stored": (f"{OCTETS}; transfer-syntax=*", {}),
    "single, octets": (OCTETS, dict.fromkeys(FILES, NATIVE)),
    "single, HTJ2K": (f"image/jphc; transfer-syntax={HTJ2K}", dict.fromkeys(FILES, HTJ2K)),
    "single, RLE": ("image/dicom-rle", dict.fromkeys(FILES, RLE)),
    "either, HTJ2K first": (f"image/jphc, {OCTETS}; transfer-syntax=*; q=0.5", dict.fromkeys(FILES, HTJ2K)),
    "what cannot be, then what can": (f"image/jpeg; transfer-syntax={BASELINE}, {OCTETS}; q=0.5", dict.fromkeys(FILES, NATIVE)),
}


@pytest.mark.parametrize("who", ASKED)
async def test_each_client_gets_its_frame(stored: Gate, who: str) -> None:
    accept, given = ASKED[who]
    for syntax in FILES:
        wanted = given.get(syntax) or syntax
        answer = await stored.ask("GET", f"{frames(syntax)}/1", {} if accept is None else {"Accept": accept})
        media, sent, data = read(answer)
        assert (media, sent) == (MEDIA[wanted], wanted), syntax
        assert answer.headers["Content-Type"].startswith("multipart/related") == (
            accept is None or not accept.startswith(("image/", OCTETS))
        )
        if wanted == syntax:
            assert data.rstrip(b"\0") == STORED[syntax].rstrip(b"\0")
        assert pixels(wanted, data) == PIXELS


@pytest.mark.parametrize(
    ("syntax", "accept"),
    [
        (NATIVE, OCTETS),
        (J2K, "image/jp2"),
        (RLE, f"{OCTETS}; transfer-syntax=*"),
        (RLE, OCTETS),
        (NATIVE, "image/jphc"),
        (J2K, f"image/jphc; transfer-syntax={HTJ2K}"),
    ],
)
async def test_a_single_frame_comes_in_ranges(stored: Gate, syntax: str, accept: str) -> None:
    """As it is stored, and made: the first bytes are enough for a coarse picture, and the rest is fetched later."""
    path = f"{frames(syntax)}/1"
    whole = await stored.get(path, accept)
    size = len(whole.body)
    assert (whole.headers["Accept-Ranges"], whole.headers["Content-Length"]) == ("bytes", str(size))
    etag = whole.headers["ETag"]
    pieces = []
    for start, stop in ((0, 1000), (1000, 2000), (2000, size)):
        answer = await stored.get(path, accept, {"Range": f"bytes={start}-{stop - 1}", "If-Range": etag})
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes {start}-{stop - 1}/{size}")
        assert answer.headers["Content-Type"] == whole.headers["Content-Type"]
        pieces.append(answer.body)
    assert b"".join(pieces) == whole.body
    assert (await stored.get(path, accept, {"Range": f"bytes={size}-"})).status == 416
    assert (await stored.get(path, accept, {"If-None-Match": etag})).status == 304
    head = await stored.ask("HEAD", path, {"Accept": accept, "Range": "bytes=0-9"})
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))


async def test_what_cannot_be_had_names_what_is_stored(stored: Gate) -> None:
    for accept in ("image/png", f"image/jpeg; transfer-syntax={BASELINE}", "video/mp4", "multipart/related; type=image/jxl"):
        answer = await stored.get(f"{frames(RLE)}/1", accept)
        assert answer.status == 406 and RLE in answer.detail and "transfer-syntax=*" in answer.detail


async def test_what_is_damaged_is_406_and_still_there_as_stored(stored: Gate) -> None:
    path = f"/studies/{samples.STUDY}/series/{samples.SERIES}/instances/{samples.SOP}/frames"
    for numbers in ("1", "1,2,3"):
        answer = await stored.get(f"{path}/{numbers}", f'multipart/related; type="{OCTETS}"')
        assert answer.status == 406 and BASELINE in answer.detail
    answer = await stored.get(f"{path}/1,2,3", f'multipart/related; type="{OCTETS}"; transfer-syntax=*')
    assert [data.rstrip(b"\0") for _, data in parts_of(answer)] == [stream.rstrip(b"\0") for stream in samples.codestreams(3)]
