"""Pixels that are made to do harm, or that were damaged, through the real decoders: each costs one clear answer and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import struct
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
import pytest_asyncio

from gateway.dicomweb.rendering import Rendering
from gateway.pixels import syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.image import Image
from gateway.pixels.pool import Pool
from gateway.pixels.render.picture import Render
from gateway.pixels.transcode import Transcode, transcoded
from gateway.pixels.work import NotDrawable, Result, Work
from tests.dicom.archive import readable, refused
from tests.pixels.pictures import pictures
from tests.pixels.works import Crash, Hoard, Sleep, Unchecked, header

GREY = Image(syntaxes.EXPLICIT, 64, 64, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)
SMALL = 40_000
"""Bytes of a frame that is flipped: hundreds of them shall take seconds."""
FLIPS = 300
MIB = 1 << 20


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[Pool]:
    """One for all, as in a gateway: what one test did to it the next one would feel."""
    opened = Pool(processes=2, seconds=20.0, queue=FLIPS)
    yield opened
    await opened.aclose()


def marker(letter: int, content: bytes) -> bytes:
    return bytes([0xFF, letter]) + struct.pack("!H", len(content) + 2) + content


def bomb(rows: int, columns: int) -> bytes:
    """A JPEG of 335 bytes that says it has so many rows and columns, and has hardly any data."""
    table = bytes([0]) + bytes([1] * 64)
    codes = bytes([0x00]) + bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]) + bytes(range(12))
    coefficients = bytes([0x10]) + bytes([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D])[:1] + bytes([1] + [0] * 14) + bytes([0])
    frame = struct.pack("!BHHB", 8, rows, columns, 1) + bytes([1, 0x11, 0])
    parts = [
        marker(0xDB, table),
        marker(0xC0, frame),
        marker(0xC4, codes),
        marker(0xC4, coefficients),
        marker(0xDA, bytes([1, 1, 0, 0, 63, 0])),
    ]
    head = b"\xff\xd8" + b"".join(parts)
    return head + bytes(335 - 2 - len(head)) + b"\xff\xd9"


BOMB = bomb(65_000, 65_000)

OVERRUN = struct.pack("<16L", 1, 64, *[0] * 14) + bytes([0x81, 0xFF]) * 400
"""RLE of 16 x 16 cells whose runs go far beyond them: a decoder in Rust panics on it."""

ENDLESS = struct.pack("<16L", 15, *[64] * 15) + b"\x80" * 2
"""RLE of fifteen segments, each of which ends before it begins."""


def jobs(image: Image, data: bytes) -> Iterator[tuple[Work, list[list[bytes]]]]:
    """What the gateway would have made of a frame."""
    yield Transcode(image, syntaxes.EXPLICIT), [[data]]
    yield Transcode(image, syntaxes.JPEG_LS), [[data]]
    yield Render(image, 1, "image/jpeg", Rendering()), [[header(image)], [data]]


async def answer(pool: Pool, work: Work, inputs: Sequence[Sequence[bytes]]) -> Result | NotDrawable:
    """Anything else fails the test."""
    try:
        return await pool.run(work, inputs)
    except NotDrawable as error:
        message, found = error.message, error
    assert len(message) > 10 and message.isprintable()
    return found


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_the_bomb_is_as_small_as_it_is_said_to_be() -> None:
    assert len(BOMB) == 335


@pytest.mark.parametrize("claimed", [65_000, 64])
async def test_a_small_file_that_says_it_is_huge_is_refused_by_its_header(pool: Pool, claimed: int) -> None:
    """Whether or not the data set says the same."""
    image = replace(GREY, syntax=syntaxes.JPEG_BASELINE, rows=claimed, columns=claimed)
    for work, inputs in jobs(image, BOMB):
        found = await answer(pool, work, inputs)
        assert isinstance(found, NotDrawable) and "65000" in found.message.replace(",", "")


async def test_a_decoder_that_was_deceived_gets_no_more_memory_than_it_may_have(pool: Pool) -> None:
    assert isinstance(await answer(pool, Unchecked(), [[BOMB]]), NotDrawable)
    assert isinstance(await answer(pool, Transcode(GREY, syntaxes.JPEG_LS), [[bytes(64 * 64)]]), Result)


async def test_runs_that_go_beyond_the_picture_do_no_harm(pool: Pool) -> None:
    """What is beyond may be left out."""
    image = replace(GREY, syntax=syntaxes.RLE, rows=16, columns=16)
    for work, inputs in jobs(image, OVERRUN):
        found = await answer(pool, work, inputs)
        assert isinstance(found, NotDrawable) or work != Transcode(image, syntaxes.EXPLICIT) or found.length == 256


@pytest.mark.parametrize("data", [ENDLESS, b"", b"\0", bytes(64), b"\xff" * 400], ids=lambda data: f"{len(data)} bytes")
async def test_runs_that_are_none_are_refused(pool: Pool, data: bytes) -> None:
    image = replace(GREY, syntax=syntaxes.RLE, rows=16, columns=16)
    for work, inputs in jobs(image, data):
        assert isinstance(await answer(pool, work, inputs), NotDrawable)


async def test_a_native_frame_that_is_not_there_is_refused(pool: Pool) -> None:
    """Megabytes by its header, 4 kB by its file."""
    image = replace(GREY, rows=65_535, columns=65_535)
    for work, inputs in jobs(image, bytes(4096)):
        if work != Transcode(image, syntaxes.EXPLICIT):  # there is nothing to do: it goes as it is
            assert isinstance(await answer(pool, work, inputs), NotDrawable)


async def test_who_does_harm_does_it_to_nobody_else(tmp_path: Path) -> None:
    """A crash, a sleeper, a hoard and a bomb among good pictures: these are all made, and this process keeps its size."""
    pool, before = Pool(processes=3, seconds=5.0), resident()
    good = [next(itertools.islice(jobs(GREY, bytes(64 * 64)), 2, None)) for _ in range(16)]
    bad: list[tuple[Work, list[list[bytes]]]] = [(Crash(), []), (Sleep(60), []), (Hoard(16 << 30), []), (Unchecked(), [[BOMB]])]
    mixed = [*good[:8], *bad, *good[8:]]
    answers = await asyncio.gather(*(answer(pool, work, inputs) for work, inputs in mixed))
    made = [isinstance(one, Result) for one in answers]
    assert made == [True] * 8 + [False] * 4 + [True] * 8
    assert resident() - before < 32 * MIB
    await pool.aclose()


# -- damaged data


Frame = tuple[Image, bytes]


def compressed() -> list[Frame]:
    """A small frame of each transfer syntax, as others wrote it, and as the gateway writes it."""
    found: dict[tuple[str, int, int], Frame] = {}
    for picture in pictures():
        image = picture.image
        if image.syntax in syntaxes.DECODABLE - syntaxes.NATIVE and len(picture.frame()) < SMALL and image.frame_bytes < 2 * MIB:
            found.setdefault((image.syntax, image.samples, image.allocated), (image, picture.frame()))
    cells = bytes(x * y // 16 & 0xFF for x in range(64) for y in range(64))
    for target in sorted(syntaxes.ENCODABLE - syntaxes.NATIVE):
        after = converted(GREY, target)
        found[target, 0, 0] = after, bytes(transcoded(cells, GREY, after, None, MIB))
    return [*found.values()]


def flipped(data: bytes, chance: random.Random) -> bytes:
    """With some bits turned, cut off, or repeated; mostly where headers are."""
    damaged = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(min(len(data), chance.choice([32, 256, len(data)])))
        damaged[at] ^= 1 << chance.randrange(8)
    cut = chance.randrange(len(data)) if chance.random() < 0.1 else len(data)
    return bytes(damaged[:cut])


async def test_damaged_frames_are_drawn_or_refused_and_nothing_else(pool: Pool) -> None:
    chance, chosen = random.Random(5), compressed()
    assert {image.syntax for image, _ in chosen} >= syntaxes.ENCODABLE - syntaxes.NATIVE
    frames = [(image, flipped(data, chance)) for image, data in itertools.islice(itertools.cycle(chosen), FLIPS)]
    every = [chance.choice([*jobs(image, data)]) for image, data in frames]
    await answer(pool, *every[0])
    before = resident()
    answers = await asyncio.gather(*(answer(pool, work, inputs) for work, inputs in every))
    hopeless = sum(isinstance(one, NotDrawable) for one in answers)
    assert 0 < hopeless < FLIPS, "some are damaged beyond hope, and some are not"
    assert resident() - before < 64 * MIB, "with all that they made in memory"


async def test_frames_with_headers_that_lie_are_drawn_or_refused(pool: Pool) -> None:
    chance, chosen = random.Random(6), compressed()
    for image, data in itertools.islice(itertools.cycle(chosen), 60):
        for work, inputs in jobs(lying(image, chance), data):
            await answer(pool, work, inputs)


def lying(image: Image, chance: random.Random) -> Image:
    changes: dict[str, list[Any]] = {
        "rows": [1, image.rows + 1, 65_535],
        "columns": [1, image.columns - 1, 65_535],
        "samples": [1, 2, 3, 4, 65_535],
        "allocated": [1, 8, 16, 32, 64, 0, 12],
        "stored": [0, 1, 8, 12, 16, 255],
        "high": [0, 7, 15, 31, 65_535],
        "signed": [True, False],
        "planar": [True, False],
        "photometric": ["MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR", "YBR_RCT", "NONSENSE"],
        "syntax": [*sorted(syntaxes.DECODABLE)],
    }
    chosen = chance.sample(sorted(changes), 2)
    return replace(image, **{name: chance.choice(changes[name]) for name in chosen})


async def test_files_that_are_no_instances_or_broken_ones(pool: Pool) -> None:
    """Whatever pydicom finds in them goes where a frame would go; so do the broken files of the corpus when there is one."""
    for path in [*refused(), *(path for path in readable() if path.parent.name == "broken")]:
        found = picture_of(path)
        for work, inputs in jobs(*found) if found else ():
            await answer(pool, work, inputs)


def picture_of(path: Path) -> Frame | None:
    """None for a file of which a store would ask no frame."""
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, force=True)
        image = Image.of(ds.to_json_dict(), str(ds.file_meta.get("TransferSyntaxUID", syntaxes.EXPLICIT)))
        return (image, bytes(ds.get("PixelData", b""))[:MIB]) if image else None
    return None
