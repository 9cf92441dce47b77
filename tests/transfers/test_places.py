"""Who may go where, and places as coroutines see them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.errors import Forbidden, NotFound
from gateway.transfers.folders import Folder
from gateway.transfers.places import BATCH, PIECE, Allowed, Found, Hands, Writing
from gateway.transfers.uris import Pattern, parse_uri
from tests.transfers.given import files, names, pattern, places, write

FOLDERS = Allowed((Path("/srv/in"), Path("/srv/in/deep"), Path("/data")))
BUCKETS = Allowed((), ("gs://one", "s3://two/folder/", "s3://three/x"))


@pytest.mark.parametrize(
    ("allowed", "uri", "lets"),
    [
        (FOLDERS, "file:///srv/in/x.dcm", True),
        (FOLDERS, "file:///srv/in", True),
        (FOLDERS, "file:///srv/inside/x", False),
        (FOLDERS, "file:///srv/x", False),
        (FOLDERS, "gs://one/x", False),
        (BUCKETS, "gs://one/x", True),
        (BUCKETS, "gs://one-more/x", False),
        (BUCKETS, "s3://one/x", False),
        (BUCKETS, "s3://two/folder/x", True),
        (BUCKETS, "s3://two/folders/x", False),
        (BUCKETS, "s3://three/x/y", True),
        (BUCKETS, "s3://three/xy", False),
        (BUCKETS, "file:///srv/in/x", False),
        (Allowed((), ("gs://",)), "gs://any/x", True),
        (Allowed((), ("gs://",)), "s3://any/x", False),
        (Allowed(), "gs://any/x", False),
    ],
)
def test_only_what_is_named_is_let_through(allowed: Allowed, uri: str, lets: bool) -> None:
    parsed = parse_uri(uri, "uri")
    if lets:
        allowed.check(parsed)
        return
    with pytest.raises(Forbidden, match=r"healthcare\.(folders|buckets)"):
        allowed.check(parsed)


def test_of_several_roots_the_innermost_lets_it_through() -> None:
    assert FOLDERS.root(parse_uri("file:///srv/in/deep/x", "uri")) == Path("/srv/in/deep")


async def test_a_place_is_opened_only_where_callers_may_go(tmp_path: Path) -> None:
    write(tmp_path, "x.dcm", b"x")
    hands = await places(tmp_path).at(parse_uri(f"file://{tmp_path}/x.dcm", "uri"))
    assert await names(hands, f"file://{tmp_path}/*") == [f"{tmp_path}/x.dcm"[1:]]
    hands.close()
    with pytest.raises(Forbidden):
        await places().at(parse_uri(f"file://{tmp_path}/x.dcm", "uri"))


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    made = Hands(Folder(tmp_path))
    yield made
    made.close()


async def test_long_lists_come_in_batches_and_empty_ones_end(hands: Hands, tmp_path: Path) -> None:
    for number in range(BATCH + 1):
        write(tmp_path, f"{number:05}", b"")
    batches = [len(some) async for some in hands.listing(pattern(f"file://{tmp_path}/*"))]
    assert batches == [BATCH, 1]
    assert await names(hands, f"file://{tmp_path}/*.dcm") == []


async def test_what_is_read_is_closed_also_by_who_stops_reading(hands: Hands, tmp_path: Path) -> None:
    write(tmp_path, "x", bytes(3 * PIECE))
    opened = len(list(Path("/proc/self/fd").iterdir()))
    async with aclosing(hands.reading(f"{tmp_path}/x"[1:])) as pieces:
        assert len(await anext(pieces)) == PIECE
    for _ in range(100):
        if len(list(Path("/proc/self/fd").iterdir())) == opened:
            break
        await asyncio.sleep(0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    with pytest.raises(NotFound):
        await anext(hands.reading(f"{tmp_path}/none"[1:]))


async def test_a_file_is_written_whole_or_not_at_all(hands: Hands, tmp_path: Path) -> None:
    async def pieces(*data: bytes, fails: bool = False) -> AsyncGenerator[bytes, None]:
        for piece in data:
            yield piece
        if fails:
            raise ZeroDivisionError

    await hands.write(f"{tmp_path}/a/x"[1:], pieces(b"whole", b" file"))
    await hands.write(f"{tmp_path}/a/empty"[1:], pieces())
    with pytest.raises(ZeroDivisionError):
        await hands.write(f"{tmp_path}/a/y"[1:], pieces(b"half", fails=True))
    with pytest.raises(ZeroDivisionError):
        await hands.write(f"{tmp_path}/b/z"[1:], pieces(fails=True))
    assert files(tmp_path) == {"a/x": b"whole file", "a/empty": b""}
    assert not (tmp_path / "b").exists()


class Stuck:
    """A place that does not answer before it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.abandoned = threading.Event()

    def listing(self, pattern: Pattern, after: str = "") -> Iterator[Found]:
        self.let.wait()
        yield Found("x", 1)

    def reading(self, name: str) -> Iterator[bytes]:
        yield b"first"
        self.let.wait()

    def writing(self, name: str) -> Writing:
        return self

    def write(self, data: bytes) -> None:
        self.let.wait()

    def done(self) -> None:
        raise AssertionError("nobody waited for that")

    def abandon(self) -> None:
        assert self.let.is_set()
        self.abandoned.set()


async def test_who_waits_for_a_place_that_does_not_answer_can_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transfers.places.TIDYING", 0.01)
    stuck = Stuck()
    hands = Hands(stuck)

    async def data() -> AsyncGenerator[bytes, None]:
        yield b"x"

    async def listed() -> None:
        async for _ in hands.listing(pattern("gs://bucket/*")):
            pass

    async def read() -> None:
        async for _ in hands.reading("x"):
            pass

    tasks = [asyncio.ensure_future(work) for work in (listed(), read(), hands.write("x", data()))]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=10)
    assert all(task.cancelled() for task in tasks) and not stuck.abandoned.is_set()
    stuck.let.set()
    assert await asyncio.to_thread(stuck.abandoned.wait, 10)
    hands.close()
