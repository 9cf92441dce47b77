"""From chunks of a request to uploads: no split, no broken part and no lazy reader changes what the others are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from gateway import streams
from gateway.backends.base import Failed
from gateway.dicom.header import Instance, peek
from gateway.dicomweb.multipart import MultipartLimits
from gateway.dicomweb.reasons import Reason
from gateway.errors import Busy, InstanceError, MalformedMultipart, TooLarge
from gateway.streams import PEEK_INLINE, Budget, Intake, IntakeLimits, file_chunks, multipart_events, single_events
from tests import blocking
from tests.backends.made import dicom, identity

BOUNDARY = b"b"
CT = b"Content-Type: application/dicom\r\n"
SMALL = 64
"""Bytes of a chunk where small ones are wanted."""

DEFAULT = IntakeLimits()

GOOD = [dicom(sop=f"1.1.1.{number}", PixelData=bytes([number]) * 32) for number in range(3)]
OTHER_STUDY = dicom("1.2", "1.2.1", "1.2.1.1")
STUDY_UID = pack("<HH", 0x0020, 0x000D) + b"UI\x04\x001.1\x00"
LONG = GOOD[0].replace(STUDY_UID, pack("<HH2s2xL", 0x0019, 0x1001, b"OB", 8 * PEEK_INLINE) + bytes(8 * PEEK_INLINE) + STUDY_UID)
"""UIDs behind much else."""
LARGE = dicom(sop="1.1.1.8", PixelData=bytes(40_000))
"""UIDs first."""

BROKEN = {
    "empty": (CT, b""),
    "text": (CT, b"\r\n--no boundary but nearly\r\n-" * 20),
    "another type": (b"Content-Type: text/plain\r\n", GOOD[0]),
    "no type at all": (b"Content-Type: nonsense\r\n", GOOD[0]),
    "no study UID": (CT, GOOD[0][: GOOD[0].index(STUDY_UID)]),
    "a study UID that is none": (CT, GOOD[0].replace(STUDY_UID, STUDY_UID[:-4] + b"1..1")),
    "of another study": (CT, OTHER_STUDY),
}

Piece = tuple[bytes, bytes]
"""Headers and body of a part."""

good = st.sampled_from([*((CT, one) for one in [*GOOD, LONG, LARGE]), (b"", GOOD[1])])
parts = st.lists(good | st.sampled_from(list(BROKEN.values())), max_size=6)


def body_of(pieces: Sequence[Piece], closed: bool = True) -> bytes:
    joined = b"".join(b"--b\r\n" + head + b"\r\n" + body + b"\r\n" for head, body in pieces)
    return joined + b"--b--\r\n" if closed else joined


async def in_chunks(body: bytes, cuts: Sequence[int] = ()) -> AsyncIterator[bytes]:
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    for start, stop in pairwise(places):
        yield body[start:stop]


def evenly(body: bytes, size: int = SMALL) -> AsyncIterator[bytes]:
    return in_chunks(body, range(0, len(body), size))


@dataclass(frozen=True)
class Seen:
    """What came of a request: (part, UIDs, bytes or the error that ended them), and what failed."""

    uploads: list[tuple[int, Instance, bytes | str]]
    failed: list[Failed]
    error: str | None = None

    @property
    def instances(self) -> list[tuple[int, Instance, bytes | str]]:
        return [upload for upload in self.uploads if isinstance(upload[2], bytes)]

    @property
    def reasons(self) -> dict[int, str]:
        """Why each of the other parts failed, before or after its UIDs were known: in which, a split may decide."""
        after = {part: error for part, _, error in self.uploads if isinstance(error, str)}
        return after | {failed.part: failed.detail for failed in self.failed}


def intake_of(
    chunks: AsyncIterator[bytes], *, limits: IntakeLimits = DEFAULT, budget: Budget | None = None, study: str | None = None
) -> Intake:
    return Intake(multipart_events(chunks, BOUNDARY, limits.multipart), limits, budget or Budget(1 << 30), study)


async def seen(intake: Intake, pieces_read: int | None = None) -> Seen:
    """Reads all uploads, or only the first pieces of each."""
    uploads: list[tuple[int, Instance, bytes | str]] = []
    try:
        async for upload in intake.uploads():
            data: bytes | str = b""
            left = pieces_read
            try:
                while left != 0 and (piece := await anext(upload.body, None)) is not None:
                    assert isinstance(data, bytes)
                    data += piece
                    left = None if left is None else left - 1
            except InstanceError as error:
                data = error.message
            uploads.append((upload.part, upload.instance, data))
    except (MalformedMultipart, TooLarge) as error:
        return Seen(uploads, intake.failed, error.message)
    return Seen(uploads, intake.failed)


def expected(pieces: Sequence[Piece]) -> list[tuple[int, Instance, bytes | str]]:
    broken = list(BROKEN.values())
    return [(number, identity(body), body) for number, (head, body) in enumerate(pieces, 1) if (head, body) not in broken]


# -- any split


@settings(deadline=None, max_examples=60)
@given(parts, st.lists(st.integers(0, 8000), max_size=30), st.booleans())
def test_any_split_of_the_body_gives_the_same_uploads(pieces: list[Piece], cuts: list[int], closed: bool) -> None:
    async def both() -> None:
        body = body_of(pieces, closed)
        whole = await seen(intake_of(in_chunks(body), study="1.1"))
        split = await seen(intake_of(in_chunks(body, cuts), study="1.1"))
        assert split.instances == whole.instances
        assert split.reasons.keys() == whole.reasons.keys()
        assert split.error == whole.error
        if pieces and closed:
            assert whole.error is None

    asyncio.run(both())


@pytest.mark.parametrize("size", [1, 2, 7, 133, 1 << 20])
async def test_even_splits_down_to_single_bytes(size: int) -> None:
    pieces = [(CT, GOOD[0]), BROKEN["text"], (CT, LONG), BROKEN["no study UID"], (b"", GOOD[1])]
    found = await seen(intake_of(evenly(body_of(pieces), size), study="1.1"))
    assert found.uploads == expected(pieces)
    assert [failed.part for failed in found.failed] == [2, 4]


# -- broken parts


@settings(deadline=None, max_examples=40)
@given(parts.filter(bool), st.integers(1, 3000))
def test_broken_parts_never_cost_their_neighbours(pieces: list[Piece], size: int) -> None:
    found = asyncio.run(seen(intake_of(evenly(body_of(pieces), size), study="1.1")))
    assert found.uploads == expected(pieces)
    assert [failed.part for failed in found.failed] == sorted(set(range(1, len(pieces) + 1)) - {part for part, _, _ in found.uploads})


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4 * len(GOOD[0])), st.integers(1, 3000))
def test_a_cut_costs_only_the_part_that_it_hits(cut: int, size: int) -> None:
    pieces = [(CT, one) for one in GOOD]
    body = body_of(pieces, closed=False)[:cut]
    found = asyncio.run(seen(intake_of(evenly(body, size))))
    assert found.instances == expected(pieces)[: len(found.instances)]
    assert len(found.reasons) <= 1
    assert all("cut off" in text for text in found.reasons.values())
    if found.error is None:
        assert len(found.instances) + len(found.reasons) == body.count(b"--b")


@pytest.mark.parametrize(
    ("kind", "reason", "detail"),
    [
        ("empty", Reason.CANNOT_UNDERSTAND, "DICOM"),
        ("text", Reason.CANNOT_UNDERSTAND, "DICOM"),
        ("another type", Reason.CANNOT_UNDERSTAND, "Content-Type"),
        ("no type at all", Reason.CANNOT_UNDERSTAND, "Content-Type"),
        ("no study UID", Reason.CANNOT_UNDERSTAND, "(0020,000D): Study Instance UID is missing"),
        ("a study UID that is none", Reason.CANNOT_UNDERSTAND, "(0020,000D): Study Instance UID is not a UID"),
        ("of another study", Reason.PROCESSING_FAILURE, "(0020,000D): the instance is of another study"),
    ],
)
async def test_a_failure_says_why_and_who_it_was(kind: str, reason: Reason, detail: str) -> None:
    (failed,) = (await seen(intake_of(evenly(body_of([BROKEN[kind]])), study="1.1"))).failed
    assert failed.reason is reason
    assert detail in failed.detail
    known = {"no study UID": "1.1.1.0", "a study UID that is none": "1.1.1.0", "of another study": "1.2.1.1"}
    assert failed.sop == known.get(kind)
    assert (failed.sop_class is not None) == (kind in known)


async def test_a_part_may_say_octet_stream() -> None:
    assert len((await seen(intake_of(evenly(body_of([(b"content-type: APPLICATION/octet-stream\r\n", GOOD[0])]))))).uploads) == 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 4), st.integers(1, 600))
def test_a_body_that_nobody_reads_to_its_end_is_drained(pieces_read: int, size: int) -> None:
    pieces = [(CT, GOOD[0]), (CT, LONG), BROKEN["text"], (CT, GOOD[1])]
    found = asyncio.run(seen(intake_of(evenly(body_of(pieces), size)), pieces_read))
    assert [part for part, _, _ in found.uploads] == [1, 2, 4]
    for (_, _, data), (_, body) in zip(found.uploads, [pieces[0], pieces[1], pieces[3]], strict=True):
        assert isinstance(data, bytes)
        assert body.startswith(data)


# -- bounds


async def test_only_what_is_asked_for_is_read() -> None:
    taken = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal taken
        async for chunk in evenly(body_of([(CT, LARGE), (CT, LARGE)]), 512):
            taken += len(chunk)
            yield chunk

    uploads = intake_of(counted()).uploads()
    first = await anext(uploads)
    assert taken < len(LARGE)
    await anext(first.body)
    assert taken < len(LARGE)
    await anext(uploads)
    assert len(LARGE) < taken < 2 * len(LARGE)
    await uploads.aclose()


async def test_prefixes_of_all_requests_share_one_budget() -> None:
    budget = Budget(len(GOOD[0]))

    async def first_bytes() -> AsyncIterator[bytes]:
        yield body_of([(CT, GOOD[0])])[:400]
        waiting.set()
        await asyncio.Event().wait()

    waiting = asyncio.Event()
    holder = asyncio.create_task(seen(intake_of(first_bytes(), budget=budget)))
    await waiting.wait()
    with pytest.raises(Busy, match="buffered_bytes"):
        await seen(intake_of(evenly(body_of([(CT, GOOD[0])])), budget=budget))
    holder.cancel()
    await asyncio.wait([holder])
    assert len((await seen(intake_of(evenly(body_of([(CT, GOOD[0])])), budget=budget))).uploads) == 1
    assert REGISTRY.get_sample_value("gateway_buffered_bytes") == 0


@pytest.mark.parametrize("size", [SMALL, 1 << 20])
async def test_an_instance_that_is_too_large_fails_alone(size: int) -> None:
    limits = IntakeLimits(instance_bytes=len(GOOD[0]))
    found = await seen(intake_of(evenly(body_of([(CT, GOOD[0]), (CT, GOOD[1] + b"xx"), (CT, GOOD[2])]), size), limits=limits))
    assert [data for _, _, data in found.uploads] == [GOOD[0], f"larger than limits.instance_bytes = {len(GOOD[0])}", GOOD[2]]


async def test_uids_that_lie_too_deep_are_not_looked_for() -> None:
    limits = IntakeLimits(header_bytes=1024)
    found = await seen(intake_of(evenly(body_of([(CT, LONG), (CT, GOOD[0])]), 256), limits=limits))
    assert [(failed.part, "limits.header_bytes" in failed.detail) for failed in found.failed] == [(1, True)]
    assert [part for part, _, _ in found.uploads] == [2]


async def test_a_long_header_is_looked_at_in_a_thread_and_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counted(prefix: bytes, *, final: bool = False) -> object:
        looked.append(len(prefix))
        return peek(prefix, final=final)

    monkeypatch.setattr(streams, "peek", counted)
    before = REGISTRY.get_sample_value("gateway_long_headers_total") or 0
    assert len((await seen(intake_of(evenly(body_of([(CT, LONG)]), 100)))).uploads) == 1
    assert (REGISTRY.get_sample_value("gateway_long_headers_total") or 0) > before
    assert sum(looked) < 5 * len(LONG)


async def test_limits_of_the_whole_request_end_it() -> None:
    limits = IntakeLimits(MultipartLimits(parts=2))
    found = await seen(intake_of(evenly(body_of([(CT, one) for one in GOOD])), limits=limits))
    assert len(found.uploads) == 2
    assert found.error is not None
    assert "limits.parts" in found.error


async def test_thousands_of_bad_parts_in_one_chunk_let_others_run() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    found = await seen(intake_of(in_chunks(body_of([(b"", b"")] * 1000))))
    running.cancel()
    assert len(found.failed) == 1000
    assert turns >= 1000


# -- other sources


async def test_a_body_that_is_one_instance() -> None:
    intake = Intake(single_events(evenly(GOOD[0])), DEFAULT, Budget(1 << 20))
    assert (await seen(intake)).uploads == [(1, identity(GOOD[0]), GOOD[0])]
    assert intake.parts == 1


@pytest.fixture
def _nothing_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = blocking.watch(monkeypatch)
    yield
    assert found == []


@pytest.mark.usefixtures("_nothing_blocks")
async def test_a_file_is_an_intake_of_one_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FILE_PIECE", 1000)
    (tmp_path / "good.dcm").write_bytes(LONG)
    (tmp_path / "bad.dcm").write_bytes(b"no instance")
    good = await seen(Intake(single_events(file_chunks(tmp_path / "good.dcm")), DEFAULT, Budget(1 << 20)))
    assert good.uploads == [(1, identity(LONG), LONG)]
    assert len((await seen(Intake(single_events(file_chunks(tmp_path / "bad.dcm")), DEFAULT, Budget(1 << 20)))).failed) == 1
    with pytest.raises(FileNotFoundError):
        await seen(Intake(single_events(file_chunks(tmp_path / "none.dcm")), DEFAULT, Budget(1 << 20)))
