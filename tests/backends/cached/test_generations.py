"""Stamps that all workers share: a write makes them new for everybody, and a boot of the machine too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.cached import generations
from gateway.backends.cached.generations import STORES, STUDIES, Generations


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "stamps"


@pytest.fixture
def shared(path: Path) -> Iterator[Generations]:
    opened = Generations(path)
    yield opened
    opened.close()
    opened.close()


def test_a_write_changes_the_study_and_the_store_and_nothing_else(shared: Generations) -> None:
    before = (
        shared.of_store("a"),
        shared.of_study("a", "1.1"),
        shared.of_store("b"),
        shared.of_study("a", "1.2"),
        shared.of_study("b", "1.1"),
    )
    shared.bump("a", "1.1")
    after = (
        shared.of_store("a"),
        shared.of_study("a", "1.1"),
        shared.of_store("b"),
        shared.of_study("a", "1.2"),
        shared.of_study("b", "1.1"),
    )
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True, True, True]
    shared.bump("a", "1.1")
    assert shared.of_study("a", "1.1") not in (before[1], after[1])


def test_everything_can_be_made_new(shared: Generations, path: Path) -> None:
    other = Generations(path)
    before = shared.of_store("a"), shared.of_study("a", "1.1"), shared.of_study("b", "1.2")
    other.renew()
    assert not {shared.of_store("a"), shared.of_study("a", "1.1"), shared.of_study("b", "1.2")} & set(before)
    other.close()
    again = Generations(path)
    assert again.of_study("a", "1.1") == shared.of_study("a", "1.1")
    again.close()


def test_two_who_open_a_file_see_the_same(shared: Generations, path: Path) -> None:
    other = Generations(path)
    for number in range(100):
        (shared, other)[number % 2].bump("a", str(number))
        assert shared.of_study("a", str(number)) == other.of_study("a", str(number))
        assert shared.of_store("a") == other.of_store("a")
    other.close()


def test_without_a_file_there_are_stamps_all_the_same() -> None:
    alone, other = Generations(None), Generations(None)
    before = alone.of_study("a", "1.1"), alone.of_store("a")
    alone.bump("a", "1.1")
    assert alone.of_study("a", "1.1") != before[0] and alone.of_store("a") != before[1]
    assert (other.of_study("a", "1.1"), other.of_store("a")) == before, "they are nobody else's"
    alone.close()
    other.close()


def test_stamps_outlive_the_process_and_not_the_machine(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stamps() -> tuple[int, int]:
        opened = Generations(path)
        try:
            return opened.of_store("a"), opened.of_study("a", "1")
        finally:
            opened.close()

    first = stamps()
    assert stamps() == first
    (tmp_path / "boot").write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    monkeypatch.setattr(generations, "_BOOT", tmp_path / "boot")
    later = stamps()
    assert all(old != new for old, new in zip(first, later, strict=True))
    assert stamps() == later


@pytest.mark.parametrize("damage", [b"", b"x", bytes(100_000)])
def test_a_file_that_is_not_one_is_made_anew(path: Path, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    opened = Generations(path)
    assert opened.of_store("a") != 0
    assert {opened.of_study("a", str(number)) for number in range(100)}.isdisjoint({0})
    opened.close()


def test_slots_are_used_evenly(shared: Generations) -> None:
    slots = {shared.of_study("a", f"1.2.840.{number}") for number in range(STUDIES)}
    assert len(slots) > STUDIES * 0.55  # 0.63 of them by chance
    assert len({shared.of_store(f"store{number}") for number in range(STORES)}) > STORES * 0.4


CHILD = """
import sys
from pathlib import Path
from gateway.backends.cached.generations import Generations
shared = Generations(Path(sys.argv[1]))
for line in sys.stdin:
    shared.bump("a", line.strip())
    print(shared.of_study("a", line.strip()), shared.of_store("a"), flush=True)
"""


def test_another_process_is_seen_at_once(shared: Generations, path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        for number in range(1000):
            before = shared.of_study("a", str(number % 7)), shared.of_store("a")
            child.stdin.write(f"{number % 7}\n")
            child.stdin.flush()
            told = tuple(map(int, child.stdout.readline().split()))
            assert (shared.of_study("a", str(number % 7)), shared.of_store("a")) == told
            assert told[0] != before[0] and told[1] != before[1]
        child.stdin.close()
    assert child.returncode == 0


def test_only_the_owner_may_read_it(shared: Generations, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
