from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.registry.datasets import Page
from gateway.backends.registry.file import File
from gateway.backends.registry.operations import Operations
from gateway.backends.registry.owners import Owners
from gateway.errors import NotFound
from gateway.healthcare.names import dataset_name, location_name, operation_name
from gateway.healthcare.operations import Counter

D = dataset_name(location_name("p", "l"), "d")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path)
    yield file
    file.close()


@pytest.fixture
def owners(tmp_path: Path) -> Iterator[Owners]:
    owners = Owners(tmp_path / "owners")
    yield owners
    owners.close()


def test_one_runs_and_ends_once(file: File, owners: Owners) -> None:
    operations = Operations(file, owners)
    name = operations.begin(D, "Delete", "what", pending=5)
    assert operations.progress(name, Counter(success=2, pending=3))
    assert operations.operation(name).counter == Counter(2, 0, 3)
    operations.end(name, Counter(success=5), response={"name": "x"}, response_type="a.B")
    operations.end(name, Counter(failure=5), error={"code": 1})
    done = operations.operation(name)
    assert (done.counter, done.response, done.error) == (Counter(5), {"name": "x"}, None)
    assert done.ended is not None and done.ended >= done.created
    assert not operations.progress(name, Counter())


def test_cancelling_asks_it_to_stop(file: File, owners: Owners) -> None:
    operations = Operations(file, owners)
    name = operations.begin(D, "Delete", "")
    operations.cancel(name)
    assert not operations.progress(name, Counter(success=1)) and operations.operation(name).cancelled
    operations.end(name, Counter())
    with pytest.raises(NotFound):
        operations.cancel(name)


def test_they_are_found_in_their_dataset_only(file: File, owners: Owners) -> None:
    operations = Operations(file, owners)
    names = [operations.begin(D, "m", "") for _ in range(5)]
    other = dataset_name(location_name("p", "l"), "other")
    with pytest.raises(NotFound):
        operations.operation(operation_name(other, str(names[0].number)))
    assert operations.operations(other) == []
    seen: list[str] = []
    while some := operations.operations(D, Page(2, seen[-1].rpartition("/")[2] if seen else "")):
        seen += [one.name for one in some]
    assert sorted(seen) == sorted(map(str, names))


def test_those_of_a_process_that_is_gone_are_taken_up_by_one_other(file: File, owners: Owners, tmp_path: Path) -> None:
    gone = Owners(tmp_path / "owners")
    begun = Operations(file, gone).begin(D, "Delete", "what")
    one, other = Operations(file, owners), Operations(file, Owners(tmp_path / "owners"))
    assert one.orphans() == other.orphans() == []
    gone.close()
    taken = one.orphans() + other.orphans()
    assert [(op.name, op.method, op.target) for op in taken] == [(begun, "Delete", "what")]
    assert [op.name for op in one.under_way()] == [begun]


def test_what_ended_long_ago_is_forgotten(file: File, owners: Owners) -> None:
    operations = Operations(file, owners)
    ended, running = operations.begin(D, "m", ""), operations.begin(D, "m", "")
    operations.end(ended, Counter())
    assert operations.expire(0) == 0
    assert operations.expire(1e12) == 1
    assert [one.name for one in operations.operations(D)] == [str(running)]
