"""Instances in other transfer syntaxes, over HTTP, with real pixel processes; pydicom and DCMTK judge what arrives.

With DICOM_CORPUS=FOLDER the files of that folder go the same way; ``-s`` shows what is refused, and why.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
import pytest_asyncio

from gateway.pixels import syntaxes
from tests.backends.pictured.picturing import descriptors
from tests.pixels.test_instances import CHANGED, FOLDERS, same
from tests.pixels.whole import encapsulated, noise, parsed, picture, transcoded
from tests.web.gate import Gate, opened, parts_of, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPLICIT, JPEG_LS, RLE, BASELINE = syntaxes.EXPLICIT, syntaxes.JPEG_LS, syntaxes.RLE, syntaxes.JPEG_BASELINE
DICOM = "application/dicom; transfer-syntax="
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax='

LARGEST = 2 << 20 if "DICOM_CORPUS" in os.environ else 400 << 10
"""Bytes of a file of pydicom's; more of the kind would take seconds. The corpus has no such bound."""

DECODERS = {
    RLE: "dcmdrle",
    JPEG_LS: "dcmdjpls",
    syntaxes.JPEG_LS_NEAR: "dcmdjpls",
    BASELINE: "dcmdjpeg",
    syntaxes.JPEG_EXTENDED: "dcmdjpeg",
    syntaxes.JPEG_LOSSLESS: "dcmdjpeg",
    syntaxes.JPEG_LOSSLESS_SV1: "dcmdjpeg",
}
"""DCMTK's decoders by transfer syntax; it has none for JPEG 2000."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    store = {"on_duplicate": "replace", "durability": "relaxed"}
    async with opened(settings(tmp_path_factory.mktemp("gate"), store=store, pixels={"processes": 2})) as started:
        yield started


@dataclass(frozen=True)
class Sample:
    """A compressed file of which all UIDs are there."""

    name: str
    data: bytes
    syntax: str
    uids: tuple[str, str, str]

    @property
    def path(self) -> str:
        study, series, sop = self.uids
        return f"/studies/{study}/series/{series}/instances/{sop}"


def sample(path: Path) -> Sample | None:
    """None for what is no compressed instance; missing UIDs are made up, nothing else changes."""
    try:
        ds = pydicom.dcmread(path, force=True)
        syntax = str(ds.file_meta.TransferSyntaxUID)
    except (AttributeError, EOFError, NotImplementedError, OSError, RecursionError, ValueError):  # no DICOM, or too broken for pydicom
        return None
    if syntax in syntaxes.NATIVE or "Rows" not in ds:
        return None
    data, keywords = path.read_bytes(), ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    if any(not ds.get(keyword) for keyword in keywords):
        for keyword in keywords:
            setattr(ds, keyword, ds.get(keyword) or pydicom.uid.generate_uid(entropy_srcs=[path.name, keyword]))
        out = BytesIO()
        ds.save_as(out)
        data = out.getvalue()
    return Sample(path.name, data, syntax, tuple(str(ds.get(keyword)) for keyword in keywords))  # type: ignore[arg-type]  # three


def samples(*folders: Path, largest: int = LARGEST) -> Iterator[Sample]:
    for path in sorted(one for folder in folders for one in folder.rglob("*")):
        if path.is_file() and path.stat().st_size <= largest and (found := sample(path)) is not None:
            yield found


def ran(tool: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which(tool)
    assert program, f"{tool} is missing; `make test` as root installs it, or: apt-get install dcmtk"
    return subprocess.run([program, *options], capture_output=True, check=False, timeout=60)


def judged(tool: str, data: bytes, folder: Path) -> Any:
    """What a tool of DCMTK's makes of an instance, None where it gives up."""
    before, after = folder / "before.dcm", folder / "after.dcm"
    before.write_bytes(data)
    options = ["+cn"] if tool == "dcmdjpeg" and parsed(data).PhotometricInterpretation == "RGB" else []
    done = ran(tool, *options, str(before), str(after))
    return None if done.returncode else parsed(after.read_bytes())


def complaints(data: bytes, folder: Path) -> str:
    """What dcmdump has to say of an instance."""
    path = folder / "dump.dcm"
    path.write_bytes(data)
    done = ran("dcmdump", "-q", str(path))
    return done.stderr.decode("latin-1") + f"ends with {done.returncode}" * bool(done.returncode)


async def stored(gate: Gate, one: Sample) -> bool:
    body = b"--here\r\nContent-Type: application/dicom\r\n\r\n" + one.data + b"\r\n--here--\r\n"
    return (await gate.post(body)).status == 200


async def checked(gate: Gate, one: Sample, folder: Path) -> str:
    """Asks for an instance as every client does that says nothing of transfer syntaxes; the reason where it is refused."""
    answer = await gate.get(one.path, "application/dicom")
    if answer.status != 200:
        assert answer.status == 406, (one.name, answer.status, answer.body)
        return answer.detail
    made, old = parsed(answer.body), parsed(one.data)
    assert made.file_meta.TransferSyntaxUID == EXPLICIT
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    same(made, old, {*CHANGED, "ExtendedOffsetTable", "ExtendedOffsetTableLengths", *ICONS.get(one.name, ())})
    if said := complaints(answer.body, folder):
        assert said == complaints(one.data, folder), one.name
    theirs = judged(DECODERS[one.syntax], one.data, folder) if one.syntax in DECODERS else None
    if theirs is not None:
        assert apart(made, theirs) <= (2 if syntaxes.is_lossy(one.syntax) else 0), one.name
    return ""


def apart(one: Any, other: Any) -> int:
    """The largest difference between pixels."""
    ours, theirs = one.pixel_array.astype(int), other.pixel_array.astype(int)
    assert ours.shape == theirs.shape
    return int(abs(ours - theirs).max())


ICONS = {"GH133.dcm": ("IconImageSequence", "")}
"""Files with compressed pictures in sequences, which come decoded; private ones have no keyword."""

REFUSED = {"JPEG2000-embedded-sequence-delimiter.dcm": "1024 x 3722445056 pixels"}


async def test_every_compressed_file_of_pydicom_comes_uncompressed(gate: Gate, tmp_path: Path) -> None:
    refused = {}
    count = 0
    for one in samples(*FOLDERS):
        if not await stored(gate, one):
            continue
        count += 1
        if reason := await checked(gate, one, tmp_path):
            refused[one.name] = reason
            assert one.syntax in reason
    assert {name: part for name, part in REFUSED.items() if part in refused.get(name, "")} == REFUSED
    assert set(refused) == set(REFUSED)
    assert count > 45


PICTURES = {
    "ct": picture(noise(2, 40, 30, bits=12, signed=True), bits=12, sop="1"),
    "us": picture(noise(3, 41, 31, 3, bits=8), sop="2", SeriesInstanceUID="1.1.2"),
    "cr": picture(noise(64, 48), sop="3", syntax=syntaxes.IMPLICIT),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("target", [JPEG_LS, RLE, syntaxes.JPEG_LOSSLESS_SV1, syntaxes.J2K_LOSSLESS, syntaxes.HTJ2K_LOSSLESS])
async def test_what_is_compressed_can_be_read_by_others(gate: Gate, tmp_path: Path, name: str, target: str) -> None:
    data = PICTURES[name]
    old = parsed(data)
    await gate.store(data)
    path = f"/studies/{old.StudyInstanceUID}/series/{old.SeriesInstanceUID}/instances/{old.SOPInstanceUID}"
    answer = await gate.get(path, DICOM + target)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == f"application/dicom; transfer-syntax={target}"
    assert complaints(answer.body, tmp_path) == ""
    made = parsed(answer.body)
    same(made, old, CHANGED)
    made.decompress(generate_instance_uid=False)
    assert apart(made, old) == 0
    if target in DECODERS:
        assert apart(judged(DECODERS[target], answer.body, tmp_path), old) == 0
    await gate.store(answer.body)
    assert parsed((await gate.get(path, "application/dicom")).body).pixel_array.tolist() == old.pixel_array.tolist()


async def test_a_series_comes_as_jpeg_with_its_history(gate: Gate, tmp_path: Path) -> None:
    files = [picture(noise(48, 64, bits=8), study="9", series="9.1", sop=f"9.1.{number}", InstanceNumber=number) for number in range(1, 9)]
    await gate.store(*files)
    answer = await gate.get("/studies/9/series/9.1", PARTS + BASELINE)
    found = parts_of(answer)
    assert {media for media, _ in found} == {f"application/dicom; transfer-syntax={BASELINE}"}
    assert [parsed(data).InstanceNumber for _, data in found] == list(range(1, 9))
    for _, data in found:
        theirs = judged("dcmdjpeg", data, tmp_path)
        assert np.abs(theirs.pixel_array.astype(int) - noise(48, 64, bits=8)).max() < 32
        assert (theirs.LossyImageCompression, theirs.LossyImageCompressionMethod) == ("01", "ISO_10918_1")


async def test_a_study_with_a_video_is_refused_before_its_first_byte(gate: Gate) -> None:
    video = "1.2.840.10008.1.2.4.102"
    await gate.store(transcoded(picture(noise(8, 8), study="8", sop="8.1"), RLE), encapsulated([b"mp4!"], video, study="8", sop="8.2"))
    answer = await gate.get("/studies/8", PARTS + EXPLICIT)
    assert answer.status == 406
    assert video in answer.detail
    assert len(parts_of(await gate.get("/studies/8", PARTS + "*"))) == 2


async def test_damage_is_an_error_or_a_cut_and_the_next_answer_is_whole(gate: Gate) -> None:
    good = transcoded(picture(noise(90, 200, 300), study="7", sop="7.1"), JPEG_LS)
    last = good.rindex(b"\xff\xd8\xff")
    late = good[:last] + b"\0\0\0" + good[last + 3 :]
    first = good.index(b"\xff\xd8\xff")
    early = good[:first] + b"\0\0\0" + good[first + 3 :]
    path = "/studies/7/series/1.1.1/instances/7.1"
    await gate.store(early)
    answer = await gate.get(path, "application/dicom")
    assert answer.status == 406
    assert JPEG_LS in answer.detail
    await gate.store(late)
    with pytest.raises(asyncio.IncompleteReadError):
        await gate.get(path, "application/dicom")
    with pytest.raises(asyncio.IncompleteReadError):
        await gate.get("/studies/7", PARTS + EXPLICIT)
    await gate.store(good)
    assert (await gate.get(path, "application/dicom")).body == picture(noise(90, 200, 300), study="7", sop="7.1")


async def test_behind_a_large_instance_comes_the_next_one(gate: Gate) -> None:
    """One of more than a batch of frames ends with what follows its pixels, which may be nothing: no empty chunk may say so."""
    plain = [picture(noise(90, 200, 300), study="5", sop=f"5.{number}", InstanceNumber=number) for number in (1, 2)]
    await gate.store(*(transcoded(one, JPEG_LS) for one in plain))
    found = parts_of(await gate.get("/studies/5", PARTS + EXPLICIT))
    assert [data for _, data in found] == plain


async def test_whoever_leaves_in_the_middle_leaves_nothing_open(gate: Gate) -> None:
    await gate.store(transcoded(picture(noise(90, 200, 300), study="6", sop="6.1"), JPEG_LS))
    await gate.get("/studies/6", PARTS + EXPLICIT)
    await gate.idle()
    before = descriptors()
    for _ in range(5):
        reader, writer = await gate.connect()
        writer.write(f"GET /dicom-web/studies/6 HTTP/1.1\r\nHost: here\r\nAccept: {PARTS}{EXPLICIT}\r\n\r\n".encode())
        await reader.readexactly(100_000)
        writer.transport.abort()
    await gate.idle()
    async with asyncio.timeout(30):
        while descriptors() > before:
            await asyncio.sleep(0.05)


if "DICOM_CORPUS" in os.environ:  # a folder of files that is not part of the project

    async def test_every_compressed_file_of_the_corpus_comes_uncompressed_or_is_refused(gate: Gate, tmp_path: Path) -> None:
        refused = []
        for one in samples(Path(os.environ["DICOM_CORPUS"]), largest=1 << 30):
            if await stored(gate, one) and (reason := await checked(gate, one, tmp_path)):
                assert one.syntax in reason
                refused.append(f"{one.name}: {reason}")
        print("\n".join(["refused:", *refused]))  # noqa: T201 - the table is what such a run is for
