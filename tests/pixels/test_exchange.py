"""What is handed over arrives as it was; what comes back is believed only where it makes sense."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import struct
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pixels import exchange
from gateway.pixels.exchange import DESCRIPTORS, FACTS, INLINE, MESSAGE, PIECES, SEALS, Malformed, Parcel, Pieces, answer, light, received
from gateway.pixels.work import Fact, Input, Made, Region
from tests.pixels.works import Cut, Echo

MOST = 1 << 20


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(autouse=True)
def _no_descriptor_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def file(content: bytes) -> int:
    with tempfile.TemporaryFile() as made:
        made.write(content)
        made.flush()
        return os.dup(made.fileno())


def there(pair: Pair, inputs: Sequence[Input]) -> list[bytes]:
    """What a process reads of inputs that are handed over."""
    with closing(Parcel(Echo("x"), inputs)) as parcel:
        parcel.send(pair[0])
    job = exchange.next_job(pair[1])
    assert job is not None and job.work == Echo("x")
    try:
        assert [len(one) for one in job.inputs] == [len(one.read()) for one in job.inputs]
        return [one.read() for one in job.inputs]
    finally:
        for descriptor in job.descriptors:
            os.close(descriptor)


@pytest.mark.parametrize("size", [0, 1, INLINE, INLINE + 1, 3 * MESSAGE, 5 << 20])
def test_bytes_arrive_whatever_their_size(pair: Pair, size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert there(pair, [[content], [], [b"", content[:9], content[9:]]]) == [content, b"", content]


@pytest.mark.parametrize("extra", [0, INLINE + 1])
def test_places_in_files_arrive_beside_bytes(pair: Pair, extra: int) -> None:
    one, other = file(b"0123456789"), file(b"abcdefghij")
    try:
        inputs: list[Input] = [[Region(one, 2, 3), b"--", Region(other, 0, 2)], [b"y" * extra], [Region(one, 9, 1), Region(one, 0, 1)]]
        assert there(pair, inputs) == [b"234--ab", b"y" * extra, b"90"]
    finally:
        os.close(one)
        os.close(other)


def test_a_descriptor_travels_once_and_is_the_parcels_own(pair: Pair) -> None:
    one = file(b"0123456789")
    parcel = Parcel(Echo(), [[Region(one, at, 1) for at in range(10)], [Region(one, 0, 2)]])
    os.close(one)
    for _ in range(2):  # sent twice: the first process crashed
        parcel.send(pair[0])
        job = exchange.next_job(pair[1])
        assert job is not None and len(job.descriptors) == 1
        assert [given.read() for given in job.inputs] == [b"0123456789", b"01"]
        os.close(job.descriptors[0])
    parcel.close()


def test_more_files_than_a_message_carries_are_gathered_into_one(pair: Pair) -> None:
    files = [file(str(number).encode() * 3) for number in range(DESCRIPTORS + 1)]
    try:
        inputs: list[Input] = [[Region(one, 1, 9), b"/"] for one in files]
        assert not light(inputs)
        with closing(Parcel(Echo(), inputs)) as parcel:
            parcel.send(pair[0])
            job = exchange.next_job(pair[1])
            assert job is not None and len(job.descriptors) == 1
            assert [given.read() for given in job.inputs] == [(str(number) * 3)[1:].encode() + b"/" for number in range(DESCRIPTORS + 1)]
            os.close(job.descriptors[0])
    finally:
        for one in files:
            os.close(one)


def test_many_pieces_of_one_file_are_listed_outside_the_message(pair: Pair) -> None:
    content = random.Random(3).randbytes(40_000)
    one = file(content)
    try:
        inputs: list[Input] = [[Region(one, at, 1)] for at in range(40_000)]
        assert not light(inputs)
        assert there(pair, inputs) == [content[at : at + 1] for at in range(40_000)]
    finally:
        os.close(one)


def test_what_is_light_is_small_and_of_few_pieces() -> None:
    assert light([[b"x" * INLINE], [Region(0, 0, 1 << 40)] * (PIECES - 1)])
    assert light([])
    assert not light([[b"x" * INLINE, b"x"]])
    assert not light([[b""] * (PIECES + 1)])
    assert not light([[Region(number, 0, 1)] for number in range(DESCRIPTORS)])


def test_a_parcel_that_cannot_be_made_leaves_nothing_open() -> None:
    one = file(b"0")
    with pytest.raises(OSError, match="descriptor"):
        Parcel(Echo(), [[Region(one, 0, 1), Region(10_000, 0, 1)]])
    os.close(one)


def test_who_wants_no_more_jobs_closes_the_socket(pair: Pair) -> None:
    pair[0].close()
    assert exchange.next_job(pair[1]) is None


# -- inputs in the process


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 30), st.integers(0, 30), st.integers(0, 31))
def test_a_cut_of_pieces_is_the_cut_of_their_sum(pieces: list[bytes], offset: int, length: int, kinds: int) -> None:
    whole = b"".join(pieces)
    one = file(whole)
    try:
        starts = [sum(map(len, pieces[:number])) for number in range(len(pieces))]
        mixed: list[bytes | Region] = [
            Region(one, start, len(piece)) if kinds >> number & 1 else piece
            for number, (start, piece) in enumerate(zip(starts, pieces, strict=True))
        ]
        assert Pieces(mixed).at(offset, length) == whole[offset : offset + length]
        assert Pieces(mixed).read() == whole
    finally:
        os.close(one)


def test_a_file_that_is_shorter_than_was_said_gives_what_it_has() -> None:
    one = file(b"0123456789")
    pieces = Pieces([Region(one, 4, 100), b"never joined to what is missing"])
    assert pieces.at(0, 100) == pieces.at(0, 6) == b"456789"
    os.close(one)


# -- results


@pytest.mark.parametrize("sizes", [[], [0], [1], [INLINE], [INLINE, 1], [70_000] * 9, [9] * 20_000, [0, INLINE, 0, 500_000]])
def test_a_result_comes_back_whatever_its_size(pair: Pair, sizes: list[int]) -> None:
    content = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    facts: dict[str, Fact] = {"a": 1, "b": [1, 2], "c": ["x"], "d": None, "e": 1.5, "f": True, "g": "é"}
    answer(pair[1], "made", Made([memoryview(one) if len(one) % 2 else one for one in content], facts))
    said = received(pair[0], MOST)
    assert said is not None
    end, result = said
    whole = b"".join(content)
    assert (end, result.facts, result.length, result.read()) == ("made", facts, len(whole), whole)


def test_a_memoryview_of_wide_cells_counts_in_bytes(pair: Pair) -> None:
    answer(pair[1], "made", Made([memoryview(array("H", [1, 2, 3]))]))
    said = received(pair[0], MOST)
    assert said is not None and said[1].read() == array("H", [1, 2, 3]).tobytes()


def test_a_large_result_is_sealed(pair: Pair) -> None:
    answer(pair[1], "made", Made([b"x" * (INLINE + 1)]))
    said = received(pair[0], MOST)
    assert said is not None
    region = said[1].region(2, 5)
    assert isinstance(region, Region) and os.pread(region.descriptor, region.length, region.offset) == b"xxxxx"
    with pytest.raises(PermissionError):
        os.write(region.descriptor, b"y")
    with pytest.raises(PermissionError):
        os.ftruncate(region.descriptor, 0)
    os.close(region.descriptor)


def test_too_many_facts_are_not_sent(pair: Pair) -> None:
    with pytest.raises(ValueError, match="facts"):
        answer(pair[1], "made", Made(facts={"numbers": list(range(FACTS))}))
    with pytest.raises(BlockingIOError):
        received(pair[0], MOST)


def test_the_end_of_a_process_is_no_answer(pair: Pair) -> None:
    pair[1].close()
    assert received(pair[0], MOST) is None


def test_a_process_that_has_nothing_to_say_is_silent(pair: Pair) -> None:
    assert exchange.silent(pair[0])
    answer(pair[1], "made")
    assert not exchange.silent(pair[0])
    assert received(pair[0], MOST) is not None and exchange.silent(pair[0])
    pair[1].close()
    assert not exchange.silent(pair[0])


def header(end: bytes = b"M", length: int = 0, facts: int = 2) -> bytes:
    return struct.pack("!cQI", end, length, facts)


@pytest.mark.parametrize(
    "message",
    [
        b"M",
        b"\x80\x05",  # a pickle begins like this
        header(b"?") + b"{}",
        header() + b"[]",
        header() + b"{",
        header(facts=3) + b"{}",
        header(facts=1 << 31) + b"{}",
        header(length=1) + b"{}",
        header() + b"{}x",
        header(length=MOST + 1) + b"{}",
        header(facts=9) + b'{"a": {}}',
        header(facts=13) + b'{"a": [1.5]}]'[:13],
        header(facts=15) + b'{"a": [1, "b"]}',
        header(facts=12) + b'{"a": [[1]]}',
        header(facts=12) + b'{"a":[true]}',
        header(facts=9) + b'{"a":NaN}',
        header(facts=MESSAGE) + b"[" * MESSAGE,
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(pair: Pair, message: bytes) -> None:
    pair[1].send(message)
    with pytest.raises(Malformed):
        received(pair[0], MOST)


def said_with(pair: Pair, length: int, *files: int) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", files))]
    pair[1].sendmsg([header(length=length) + b"{}"], rights)
    for one in files:
        os.close(one)


def sealed(size: int, seals: int = SEALS) -> int:
    one = exchange.memory_file()
    os.ftruncate(one, size)
    fcntl.fcntl(one, fcntl.F_ADD_SEALS, seals)
    return one


def test_a_sealed_file_of_the_right_length_is_taken(pair: Pair) -> None:
    said_with(pair, 5, sealed(5))
    said = received(pair[0], MOST)
    assert said is not None and said[1].read() == bytes(5)


@pytest.mark.parametrize(
    "seals", [0, fcntl.F_SEAL_SHRINK, SEALS & ~fcntl.F_SEAL_SHRINK, SEALS & ~fcntl.F_SEAL_WRITE], ids=["none", "shrink", "others", "text"]
)
def test_a_file_that_could_still_change_is_refused(pair: Pair, seals: int) -> None:
    said_with(pair, 5, sealed(5, seals))
    with pytest.raises(Malformed):
        received(pair[0], MOST)


@pytest.mark.parametrize("length", [4, 6, MOST])
def test_a_file_of_another_length_is_refused(pair: Pair, length: int) -> None:
    said_with(pair, length, sealed(5))
    with pytest.raises(Malformed):
        received(pair[0], MOST)


def test_a_file_on_disk_or_a_device_is_refused(pair: Pair) -> None:
    for one in (file(b"12345"), os.open("/dev/zero", os.O_RDONLY)):
        said_with(pair, 5, one)
        with pytest.raises(Malformed):
            received(pair[0], MOST)


def test_several_files_are_refused_and_closed(pair: Pair) -> None:
    said_with(pair, 5, *(sealed(5) for _ in range(9)))
    with pytest.raises(Malformed):
        received(pair[0], MOST)


@given(st.binary(min_size=1, max_size=200), st.booleans())
def test_no_message_does_more_than_be_refused(noise: bytes, led: bool) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(header(length=len(noise)) + b"{}" + noise if led else noise)
        if led:
            said = received(ours, MOST)
            assert said is not None and said[1].read() == noise
        else:
            with pytest.raises(Malformed):
                received(ours, MOST)


def test_a_work_is_plain_values(pair: Pair) -> None:
    with closing(Parcel(Cut(1, 2), [[b"abcd"]])) as parcel:
        parcel.send(pair[0])
    job = exchange.next_job(pair[1])
    assert job is not None and job.work == Cut(1, 2) and job.work(job.inputs).content == [b"bc"]
