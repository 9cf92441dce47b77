"""The list of the disk tier's files: the bound, the oldest first, and never less than the disk holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.cached.index import SOME, Index


class Disk:
    """The files of an index, as sizes."""

    def __init__(self, path: Path, bound: int) -> None:
        self.path = path
        self.bound = bound
        self.gone: list[str] = []
        self.index = self.open()

    def open(self) -> Index:
        return Index(self.path, self.bound, self.gone.append)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "index", 1000)
    yield made
    made.index.close()


def names(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [name for (name,) in db.execute("SELECT name FROM files ORDER BY name")]
    finally:
        db.close()


def test_what_was_used_longest_ago_makes_room(disk: Disk) -> None:
    for number in range(5):
        assert disk.index.claim(f"f{number}", "frames", 200, number) == 0
    disk.index.touch([(10, "f0"), (0, "f3"), (11, "unknown")])
    assert disk.index.claim("new", "metadata", 300, 20) == 2
    assert disk.gone == ["f1", "f2"]
    assert names(disk.path) == ["f0", "f3", "f4", "new"]
    assert disk.index.sums() == {"frames": 600, "metadata": 300}


def test_what_is_larger_than_all_room_drives_out_nothing(disk: Disk) -> None:
    disk.index.claim("small", "frames", 10, 0)
    assert disk.index.claim("large", "frames", 1001, 1) is None
    assert (disk.gone, names(disk.path)) == ([], ["small"])


def test_many_small_ones_go_for_a_large_one(disk: Disk) -> None:
    for number in range(5 * SOME):
        disk.index.claim(f"f{number:03}", "frames", 10, number)
    assert disk.index.claim("large", "frames", 1000, 100) == 5 * SOME
    assert names(disk.path) == ["large"]


def test_a_claim_grows_and_is_exact_when_it_is_whole(disk: Disk) -> None:
    disk.index.claim("a", "frames", 100, 0)
    disk.index.claim("a.part", "frames", 100, 1)
    disk.index.claim("a.part", "frames", 700, 1)
    renamed: list[int] = []
    disk.index.finish("a.part", "a", 650, lambda: renamed.append(1))
    assert (renamed, names(disk.path), disk.index.sums()) == ([1], ["a"], {"frames": 650})
    disk.index.drop("a")
    disk.index.drop("a")
    assert (disk.gone, disk.index.sums()) == (["a", "a"], {"frames": 0})


def test_what_had_to_go_while_it_was_written_is_not_there(disk: Disk) -> None:
    def rename() -> None:
        raise FileNotFoundError

    disk.index.claim("a.part", "frames", 500, 0)
    disk.index.claim("b", "frames", 900, 1)
    with pytest.raises(FileNotFoundError):
        disk.index.finish("a.part", "a", 500, rename)
    assert (names(disk.path), disk.index.sums()) == (["b"], {"frames": 900})


def test_a_removal_that_fails_loses_no_row(disk: Disk) -> None:
    def refuse(_: str) -> None:
        raise OSError(5, "input/output error")

    disk.index.claim("a", "frames", 900, 0)
    other = Index(disk.path, 1000, refuse)
    with pytest.raises(OSError, match="input/output"):
        other.claim("b", "frames", 900, 1)
    other.close()
    assert (names(disk.path), disk.index.sums()) == (["a"], {"frames": 900})


def test_sums_that_lie_do_no_harm(disk: Disk) -> None:
    db = sqlite3.connect(disk.path)
    db.execute("INSERT INTO sums VALUES ('frames', 5000)")
    db.commit()
    db.close()
    assert disk.index.claim("a", "frames", 900, 0) == 0


def test_two_who_open_it_share_the_bound(disk: Disk) -> None:
    other = disk.open()
    for number in range(20):
        (disk.index, other)[number % 2].claim(f"f{number:02}", "frames", 100, number)
    assert names(disk.path) == [f"f{number}" for number in range(10, 20)]
    assert other.sums() == disk.index.sums() == {"frames": 1000}
    other.close()
    other.close()


steps = st.lists(st.tuples(st.sampled_from(["claim", "finish", "drop", "touch"]), st.integers(0, 5), st.integers(0, 1200)), max_size=40)


@given(steps)
def test_the_rows_add_up_whatever_happens(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]) -> None:
    disk = Disk(tmp_path_factory.mktemp("index") / "index", 1000)
    for at, (verb, number, size) in enumerate(steps):
        if verb == "claim":
            disk.index.claim(f"{number}.part", "frames", size, at)
        elif verb == "finish" and f"{number}.part" in names(disk.path) and size <= 1000:
            disk.index.finish(f"{number}.part", str(number), min(size, 100), lambda: None)
        elif verb == "drop":
            disk.index.drop(str(number))
        else:
            disk.index.touch([(at, str(number))])
    db = sqlite3.connect(disk.path)
    rows = db.execute("SELECT total(size) FROM files").fetchone()[0]
    db.close()
    assert sum(disk.index.sums().values()) == rows
    disk.index.close()
