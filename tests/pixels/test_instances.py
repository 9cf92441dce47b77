"""Whole instances in another transfer syntax: pydicom judges what is decoded, and each way there leads back."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.data
import pytest

from gateway.errors import InstanceError
from gateway.pixels import instances, recoding, syntaxes
from gateway.pixels.exchange import Pieces
from gateway.pixels.headers import METHODS
from gateway.pixels.instances import Begin
from gateway.pixels.work import Undoable
from tests.backends.made import dicom
from tests.pixels.whole import encapsulated, noise, parsed, picture, transcoded, written

EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED = syntaxes.EXPLICIT, syntaxes.IMPLICIT, syntaxes.BIG_ENDIAN, syntaxes.DEFLATED

LARGEST = 400 << 10
"""Bytes of a file of pydicom's that is looked at here; tests/flows has the others."""

DATA = importlib.util.find_spec("data_store")
assert DATA is not None
assert DATA.origin is not None
FOLDERS = (Path(pydicom.data.__file__).parent / "test_files", Path(DATA.origin).parent / "data")

REFUSED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "1024 x 3722445056 pixels",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "cut off",
}
"""Files that are damaged, and what is said of them."""

CHANGED = {"PixelData", "PhotometricInterpretation", "PlanarConfiguration", "LossyImageCompression"}


def compressed() -> Iterator[Path]:
    for path in sorted(one for folder in FOLDERS for one in folder.rglob("*.dcm")):
        if path.stat().st_size <= LARGEST:
            meta = getattr(pydicom.dcmread(path, stop_before_pixels=True, force=True), "file_meta", {})
            if (uid := meta.get("TransferSyntaxUID")) is not None and uid.is_encapsulated:
                yield path


FILES = list(compressed())


def test_there_are_files_of_most_syntaxes() -> None:
    found = {pydicom.dcmread(path, stop_before_pixels=True, force=True).file_meta.TransferSyntaxUID for path in FILES}
    assert len(found) >= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_decoded_as_pydicom_decodes_it(path: Path) -> None:
    data = path.read_bytes()
    if path.name in REFUSED:
        with pytest.raises(Undoable, match=REFUSED[path.name]):
            transcoded(data, EXPLICIT)
        return
    made, judge = parsed(transcoded(data, EXPLICIT)), parsed(data)
    old = parsed(data)
    assert made.file_meta.TransferSyntaxUID == EXPLICIT
    same(made, old, CHANGED)
    try:
        judge.decompress(generate_instance_uid=False)
    except Exception:
        assert path.name in UNDECODABLE_THERE
        return
    same(made, judge, {"PixelData", "LossyImageCompression"})
    assert made["PixelData"].VR == judge["PixelData"].VR
    ours, theirs = (np.frombuffer(one.PixelData, cells(one)).astype(int) for one in (made, judge))
    assert ours.shape == theirs.shape
    lossy = judge.get("LossyImageCompression") == "01" or syntaxes.is_lossy(old.file_meta.TransferSyntaxUID)
    assert abs(ours - theirs).max(initial=0) <= (2 if lossy else 0)


UNDECODABLE_THERE = {
    "JPEG-lossy.dcm",  # 12 bits, for which pydicom wants a library under the GPL,
    "JPGExtended.dcm",  # as for these
    "J2K_pixelrep_mismatch.dcm",  # its sign is put right in an array that cannot be written to
    "UN_sequence.dcm",  # has no pixels
}
"""Files that pydicom does not decode with the libraries of the tests."""


def cells(ds: Any) -> str:
    return f"<{'i' if ds.PixelRepresentation else 'u'}{ds.BitsAllocated // 8}"


def same(one: Any, other: Any, but: set[str]) -> None:
    """Whether two data sets have the same elements and values, but for some."""
    found, wanted = (_elements(ds, but) for ds in (one, other))
    assert {str(tag) for tag in found.keys() ^ wanted.keys()} == set()
    assert [str(tag) for tag in found if found[tag] != wanted[tag] and found[tag].value == found[tag].value] == []


def _elements(ds: Any, but: set[str]) -> dict[Any, Any]:
    """Without group lengths, and without delimiters that stand where they end nothing."""
    tags = [tag for tag in ds.keys() if tag.element and tag.group != 0xFFFE]  # noqa: SIM118 - iterating reads every element
    return {tag: ds[tag] for tag in tags if ds[tag].keyword not in but}


# -- there and back

SHAPES = [
    pytest.param(noise(7, 5), 16, id="16 bits"),
    pytest.param(noise(3, 7, 5, bits=12), 12, id="12 bits, 3 frames"),
    pytest.param(noise(7, 5, bits=12, signed=True), 12, id="12 bits with sign"),
    pytest.param(noise(6, 4, signed=True), 16, id="16 bits with sign"),
    pytest.param(noise(5, 3, bits=8), 8, id="8 bits, odd"),
    pytest.param(noise(2, 9, 8, 3, bits=8), 8, id="colour"),
    pytest.param(noise(1, 40), 16, id="one row"),
]


@pytest.mark.parametrize("target", syntaxes.LOSSLESS_TARGETS[1:])
@pytest.mark.parametrize(("pixels", "bits"), SHAPES)
def test_there_and_back_is_where_it_was(pixels: Any, bits: int, target: str) -> None:
    data = picture(pixels, bits=bits)
    there = transcoded(data, target)
    assert parsed(there).file_meta.TransferSyntaxUID == target
    assert transcoded(there, EXPLICIT) == data


@pytest.mark.parametrize("source", [IMPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("target", [syntaxes.JPEG_LS, syntaxes.RLE])
def test_any_native_instance_can_be_compressed(source: str, target: str) -> None:
    pixels = noise(3, 7, 5)
    found = parsed(transcoded(transcoded(picture(pixels, syntax=source), target), EXPLICIT))
    assert (found.pixel_array == pixels).all()
    same(found, parsed(picture(pixels)), set())


@pytest.mark.parametrize("source", [IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_native_instances_become_explicit_ones(source: str) -> None:
    pixels = noise(3, 7, 5)
    assert transcoded(picture(pixels, syntax=source), EXPLICIT) == picture(pixels)


def test_from_one_compression_into_another() -> None:
    pixels = noise(2, 9, 8, 3, bits=8)
    once = transcoded(picture(pixels), syntaxes.J2K_LOSSLESS)
    assert parsed(once).PhotometricInterpretation == "YBR_RCT"
    again = transcoded(once, syntaxes.JPEG_LS)
    assert parsed(again).PhotometricInterpretation == "RGB"
    assert transcoded(again, EXPLICIT) == picture(pixels)


def test_what_trails_behind_the_data_set_is_left_behind() -> None:
    data = picture(noise(4, 4), syntax=IMPLICIT)
    assert transcoded(data + b"garbage that is no element", EXPLICIT) == picture(noise(4, 4))


def test_what_is_stored_so_already_is_told() -> None:
    made = Begin(EXPLICIT)([Pieces([dicom()])])
    assert (dict(made.facts), list(made.content)) == ({"as_stored": True}, [])


def test_lossy_compression_enters_the_history_and_quality_matters() -> None:
    data = picture(noise(64, 64, bits=8))
    fine, coarse = (transcoded(data, syntaxes.JPEG_BASELINE, quality) for quality in (95, 10))
    assert len(coarse) < len(fine)
    found = parsed(coarse)
    assert (found.LossyImageCompression, found.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    exact = 64 * 64 / (len(coarse) - coarse.index(b"\xff\xd8"))
    assert found.LossyImageCompressionRatio == pytest.approx(exact, rel=0.05)
    back = parsed(transcoded(fine, EXPLICIT))
    assert abs(back.pixel_array.astype(int) - noise(64, 64, bits=8)).max() < 32
    assert back.LossyImageCompression == "01"


@pytest.mark.parametrize("target", syntaxes.LOSSY_TARGETS)
@pytest.mark.parametrize("colour", [False, True])
def test_every_lossy_target_says_what_it_did(target: str, colour: bool) -> None:
    pixels = noise(2, 40, 30, 3, bits=8) if colour else noise(40, 30, bits=8)
    found = parsed(transcoded(picture(pixels), target))
    assert (found.LossyImageCompression, found.LossyImageCompressionMethod) == ("01", METHODS[target].decode())
    assert 1 < found.LossyImageCompressionRatio < 20
    found.decompress(generate_instance_uid=False)
    assert found.PhotometricInterpretation == ("RGB" if colour else "MONOCHROME2")
    assert 0 < abs(found.pixel_array.astype(int) - pixels).max() < 12


# -- frames


def test_frames_of_several_jobs_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 3)
    pixels = noise(10, 7, 5)
    for source in (EXPLICIT, BIG_ENDIAN, DEFLATED):
        there = transcoded(picture(pixels, syntax=source), syntaxes.RLE)
        assert (parsed(transcoded(there, EXPLICIT)).pixel_array == pixels).all()


def test_single_bits_are_packed_over_the_ends_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """PS3.5 8.1.1: a frame of 15 pixels begins within a byte. Deflated frames (A.4.13) begin with one each."""
    from zlib import compressobj

    monkeypatch.setattr(recoding, "FRAMES", 3)
    bits = np.random.default_rng(2).integers(0, 2, (19, 5, 3), dtype="u1")
    frames = [np.packbits(frame, axis=None, bitorder="little").tobytes() for frame in bits]
    deflated = []
    for frame in frames:
        engine = compressobj(wbits=-15)
        deflated.append(engine.compress(frame) + engine.flush())
    given: dict[str, Any] = {"Rows": 5, "Columns": 3, "NumberOfFrames": 19, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    data = encapsulated(deflated, syntaxes.RLE, **given)  # a transfer syntax that pydicom does not know yet
    data = data.replace(b"\x10\0UI\x14\x001.2.840.10008.1.2.5\0", b"\x10\0UI\x16\x001.2.840.10008.1.2.8.1\0")
    found = parsed(transcoded(data, EXPLICIT))
    assert len(found.PixelData) == -(-19 * 15 // 8)
    assert (found.pixel_array == bits).all()


def test_fragments_are_put_together_by_the_offset_table() -> None:
    pixels = noise(3, 40, 40)
    coded = parsed(transcoded(picture(pixels), syntaxes.JPEG_LS))
    frames = list(pydicom.encaps.generate_frames(coded.PixelData, number_of_frames=3))
    coded.PixelData = pydicom.encaps.encapsulate(frames, fragments_per_frame=4)
    data = written(coded, syntaxes.JPEG_LS)
    assert (parsed(transcoded(data, EXPLICIT)).pixel_array == pixels).all()


def test_an_extended_offset_table_goes_with_the_fragments() -> None:
    coded = parsed(transcoded(picture(noise(2, 8, 8)), syntaxes.RLE))
    frames = list(pydicom.encaps.generate_frames(coded.PixelData, number_of_frames=2))
    coded.PixelData, coded.ExtendedOffsetTable, coded.ExtendedOffsetTableLengths = pydicom.encaps.encapsulate_extended(frames)
    found = parsed(transcoded(written(coded, syntaxes.RLE), syntaxes.JPEG_LS))
    assert "ExtendedOffsetTable" not in found
    assert "ExtendedOffsetTableLengths" not in found
    assert (found.pixel_array == noise(2, 8, 8)).all()


@pytest.mark.parametrize("source", [EXPLICIT, syntaxes.RLE])
def test_frames_that_are_claimed_and_not_there_are_refused(source: str) -> None:
    data = transcoded(picture(noise(2, 8, 8)), source)
    data = data.replace(b"\x28\0\x08\0IS\2\x002 ", b"\x28\0\x08\0IS\2\x003 ")
    with pytest.raises(Undoable, match="2 frames where Number of Frames says 3"):
        transcoded(data, syntaxes.JPEG_LS)


def test_an_instance_without_pixels_gets_another_name_for_its_encoding() -> None:
    ds = parsed(dicom())
    del ds.PixelData
    ds.PixelData = pydicom.encaps.encapsulate([b"x"])
    ds["PixelData"].VR = "OB"
    data = written(ds, syntaxes.JPEG_LS)
    data = data[: data.index(b"\xe0\x7f\x10\0")]
    found = parsed(transcoded(data, EXPLICIT))
    assert found.file_meta.TransferSyntaxUID == EXPLICIT
    same(found, parsed(data), set())
    with pytest.raises(Undoable, match="without pixels"):
        transcoded(data, syntaxes.RLE)


# -- what cannot be had


def test_what_the_target_cannot_hold_is_refused_with_its_reason() -> None:
    with pytest.raises(Undoable, match=r"16 bits"):
        transcoded(picture(noise(8, 8)), syntaxes.JPEG_BASELINE)
    with pytest.raises(Undoable, match=r"1\.2\.840\.10008\.1\.2\.4\.102"):
        transcoded(encapsulated([b"video"], "1.2.840.10008.1.2.4.102"), EXPLICIT)
    with pytest.raises(Undoable, match="Rows or Columns"):
        transcoded(encapsulated([b"abcd"], syntaxes.RLE, Rows=None), EXPLICIT)


def test_more_than_an_instance_can_hold_is_refused_before_anything_is_decoded() -> None:
    data = encapsulated([b"ab"], syntaxes.JPEG_LS, Rows=65535, Columns=65535, NumberOfFrames=1)
    with pytest.raises(Undoable, match="do not fit into one instance"):
        transcoded(data, EXPLICIT)


@pytest.mark.parametrize("cut", [1, 40, 200, 600])
def test_a_truncated_instance_is_refused(cut: int) -> None:
    data = transcoded(picture(noise(2, 40, 40)), syntaxes.JPEG_LS)
    with pytest.raises(Undoable):
        transcoded(data[:-cut], EXPLICIT)


def test_damage_never_does_more_than_refuse() -> None:
    data = transcoded(picture(noise(2, 16, 16)), syntaxes.RLE)
    random = np.random.default_rng(3)
    for _ in range(200):
        harmed = bytearray(data)
        for place in random.integers(132, len(data), 3):
            harmed[place] ^= 1 << random.integers(8)
        message = refusal(bytes(harmed))
        assert "Doe" not in message


def refusal(data: bytes) -> str:
    """Why an instance is refused, empty where it is not."""
    try:
        transcoded(data, EXPLICIT)
    except Undoable as error:
        return error.message
    return ""


def test_errors_of_the_walk_do_not_leave_the_work() -> None:
    with pytest.raises(Undoable, match="cannot be written anew"):
        Begin(EXPLICIT)([Pieces([b"no DICOM" * 40])])
    assert not issubclass(Undoable, InstanceError)


def test_only_headers_of_a_large_native_instance_are_read() -> None:
    """The walk jumps over the pixels, and a job reads its own frames only."""
    data = picture(noise(64, 200, 200))
    read = []

    class Watched(Pieces):
        def at(self, offset: int, length: int) -> bytes:
            read.append(length)
            return super().at(offset, length)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recoding, "BATCH", 400_000)
        made = Begin(syntaxes.RLE)([Watched([data])])
    assert made.facts["done"] == 5
    assert sum(read) < 5 * 80_000 + 2 * instances.WINDOW + 4096
