"""The studies of the benchmark: headers of `loadtests.synthetic`, with pixels that look like a slice where pixels matter.

Everything is computed from numbers, so that what comes back can be compared with what was sent, and all servers get the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import BytesIO

import numpy as np
import pydicom
from imagecodecs import jpeg2k_encode, jpegls_encode
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from loadtests.bench.client import Ask, Piece, post
from loadtests.synthetic import Shape, Study

CT, SMALL = Shape(512, 512), Shape(16, 16)
SEED = 7
SLICES = 200
SIDE = 512
VARIANTS = 4
"""Different slices: decoding and drawing costs the same for each, and none is every time the same."""

BOUNDARY = "benchmark"
STORE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
JSON = "application/dicom+json"

# Numbers of studies; each kind has its own range, so that no two workloads meet.
SCAN, FRAMES, JLS, J2K = 1_000_000, 1_000_001, 1_000_002, 1_000_003
UNREAD, LONG = 2_000_000, 2_100_000
STORED = 10_000_000
A_TURN, A_ROW = 20_000, 1_000_000
"""Numbers that a turn of a storing workload may use, and that all its turns may."""


def small(number: int, slices: int = 1) -> Study:
    """A study whose instances are 2.8 kB each."""
    return Study(SEED, number, slices, SMALL)


def scan() -> Study:
    """200 slices of 0.5 MB. Its pixels are those of `slices`."""
    return Study(SEED, SCAN, SLICES, CT)


def loop(frames: int) -> Study:
    """One instance of so many frames of 0.5 MB."""
    return Study(SEED, FRAMES, 1, Shape(SIDE, SIDE, frames))


@lru_cache
def slices() -> list[bytes]:
    """Pixels like a CT's: something round with detail, under noise, within the first window of the header (840 to 1240 HU)."""
    return [_slice(seed).tobytes() for seed in range(VARIANTS)]


def _slice(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    random = np.random.default_rng(seed)
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    inside = across**2 / 0.7 + down**2 / 0.5 < 1
    picture = np.where(inside, 2064.0, 1700.0)
    for _ in range(8):
        x, y, radius = random.uniform(-0.4, 0.4), random.uniform(-0.3, 0.3), random.uniform(0.04, 0.2)
        picture[(across - x) ** 2 + (down - y) ** 2 < radius**2] += random.uniform(-150, 150)
    picture += random.normal(0, 1, picture.shape) * np.where(inside, 20, 5)
    return np.clip(picture, 0, 4095).astype(np.uint16)


def scanned(index: int) -> list[Piece]:
    """One instance of `scan`."""
    return [scan().pieces(index)[0], slices()[index % VARIANTS]]


@lru_cache
def _compressed(number: int) -> list[bytes]:
    return [_encapsulated(number, index) for index in range(VARIANTS)]


def _encapsulated(number: int, index: int) -> bytes:
    file = bytes(Study(SEED, number, VARIANTS, CT).pieces(index)[0]) + slices()[index]
    dataset = pydicom.dcmread(BytesIO(file))
    picture = np.frombuffer(slices()[index], np.uint16).reshape(SIDE, SIDE)
    if number == JLS:
        dataset.file_meta.TransferSyntaxUID, stream = JPEGLSLossless, jpegls_encode(picture)
    else:
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        stream = jpeg2k_encode(picture, codecformat="J2K", reversible=True, level=0, bitspersample=12)
    dataset.PixelData = encapsulate([bytes(stream)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    written = BytesIO()
    pydicom.dcmwrite(written, dataset, enforce_file_format=True)
    return written.getvalue()


def compressed(number: int, index: int, count: int) -> bytes:
    """The instance `index` of `count` in the study `JLS` or `J2K`: one of a few pictures under a UID of its own."""
    study, variant = Study(SEED, number, max(count, VARIANTS), CT), index % VARIANTS
    return _compressed(number)[variant].replace(study.sop_uid(variant).encode(), study.sop_uid(index).encode())


def stored(parts: Iterable[Sequence[Piece]], uids: Sequence[str]) -> Ask:
    """A store request. :param uids: SOP Instance UIDs of what is in it."""
    body: list[Piece] = []
    for pieces in parts:
        body.append(f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + bytes(pieces[0]))
        body += pieces[1:]
    body.append(f"\r\n--{BOUNDARY}--\r\n".encode())
    return post("/dicom-web/studies", STORE, JSON, body, about=tuple(uids))


def batches(study: Study, size: int, most: int) -> list[Ask]:
    """The instances of a study in requests of `size`, as many requests as there are, or `most`."""
    firsts = range(0, study.slices, size)[:most]
    groups = [range(first, min(first + size, study.slices)) for first in firsts]
    return [stored([study.pieces(index) for index in group], [study.sop_uid(index) for index in group]) for group in groups]
