"""Searches by what no column holds: by headers once, and then by what the search before left behind."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.backends.base import Backend
from gateway.backends.local import extracted, looking
from gateway.backends.local.headers import Headers
from gateway.backends.local.statements import plan_of
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import Gone, InvalidQuery, NotFound
from tests.backends.local.conftest import OpenStore
from tests.backends.made import dicom, named, query, sops, store, study
from tests.backends.test_contract_search import KEYS, PARENTS, archive


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read is worth keeping, and everything is done in small pieces."""
    monkeypatch.setattr(extracted, "WORTH", 1)
    monkeypatch.setattr(extracted, "BATCH", 4)
    monkeypatch.setattr(looking, "CHUNK", 3)
    monkeypatch.setattr(looking, "HOP_SECONDS", 0.0)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The generations whose headers searches read."""
    seen: list[int] = []
    through = Headers.through

    def watched(self: Headers, generations: Iterable[int], look: Callable[[int, bytes], None]) -> None:
        seen.extend(generations)
        through(self, list(generations), look)

    monkeypatch.setattr(Headers, "through", watched)
    return seen


@pytest.fixture
async def opened(open_store: OpenStore) -> LocalStore:
    """Four studies of four instances; in every other one the voltage is 120."""
    made = open_store(on_duplicate=OnDuplicate.REPLACE, durable=False)
    for number in range(1, 5):
        await store(made, *study(f"1.{number}", KVP=str(100 + number % 2 * 20), ImageComments=f"of {number}"))
    return made


async def settled(backend: LocalStore) -> None:
    """What was posted is done."""
    await backend._writer.run(lambda db: None)


async def matching(backend: LocalStore, level: Level = "instance", /, **params: str) -> int:
    """How many match; nothing is shown of them, so that no header is read for that."""
    remaining = (await backend.search(query(level, limit="0", **params))).remaining
    await settled(backend)
    assert remaining is not None
    return remaining


async def test_pages_are_counted_across_pieces(opened: LocalStore) -> None:
    matches = await opened.search(query("instance", KVP="120", limit="5", offset="1"))
    assert (len(matches.results), matches.remaining) == (5, 2)
    assert len((await opened.search(query("study", KVP="100"))).results) == 2


async def test_the_second_search_reads_no_headers(opened: LocalStore, read: list[int]) -> None:
    assert await matching(opened, KVP="120") == 8 and len(read) == 16
    for params, expected in (({"KVP": "120.0"}, 8), ({"KVP": "100"}, 8), ({"KVP": "1"}, 0), ({"KVP": "120", "PatientID": "P1"}, 8)):
        assert await matching(opened, **params) == expected
    assert await matching(opened, "series", KVP="100") == 4 and await matching(opened, "study", KVP="100") == 2
    assert len(read) == 16


async def test_neither_does_one_for_what_hardly_any_instance_has(opened: LocalStore, read: list[int]) -> None:
    for _ in range(2):
        assert await matching(opened, SliceLocation="5") == 0
        assert await matching(opened, SliceLocation='""', emptyvaluematching="true") == 16
    assert len(read) == 16


async def test_only_what_is_new_is_read(opened: LocalStore, read: list[int]) -> None:
    await matching(opened, KVP="120")
    await store(opened, dicom("1.9", "1.9.1", "1.9.1.1", KVP="120"))
    read.clear()
    assert await matching(opened, KVP="120") == 9 and read == [17]
    assert await matching(opened, KVP="120") == 9 and read == [17]


async def test_what_was_replaced_is_read_again(opened: LocalStore, read: list[int]) -> None:
    assert await matching(opened, KVP="120") == 8
    await store(opened, dicom("1.1", "1.1.1", "1.1.1.1", KVP="100"))
    read.clear()
    assert await matching(opened, KVP="120") == 7 and read == [17]
    assert "1.1.1.1" in await sops(opened, KVP="100")


async def test_nothing_stays_of_what_was_deleted(opened: LocalStore) -> None:
    await matching(opened, KVP="120")
    await matching(opened, "study", PatientWeight="70")
    await opened.delete(Resource("1.1"))
    await opened.delete(Resource("1.2", "1.2.1"))
    assert await matching(opened, KVP="120") == 4
    kept = opened._readers.read(lambda db: db.execute("SELECT tag, generation FROM extracted").fetchall())
    sources = [(0x00101030, generation) for generation in (9, 13)]  # the weight is the study's: its earliest instance says it
    assert sorted(kept) == sources + [(0x00180060, generation) for generation in range(7, 17)]


async def test_a_search_among_few_reads_those_alone_and_another_one_the_rest(opened: LocalStore, read: list[int]) -> None:
    assert await matching(opened, KVP="120", StudyInstanceUID="1.1") == 4 and read == [1, 2, 3, 4]
    assert await matching(opened, KVP="120") == 8 and sorted(read) == list(range(1, 17))


async def test_several_keys_are_kept_each_for_itself(opened: LocalStore, read: list[int]) -> None:
    assert await matching(opened, KVP="120") == 8
    read.clear()
    # Where the voltage is another one, nothing else has to be known.
    assert await matching(opened, KVP="120", ImageComments="of 1") == 4 and len(read) == 8
    assert await matching(opened, KVP="120", ImageComments="of 3") == 4 and len(read) == 8


async def test_what_the_index_keeps_without_a_column_is_kept_too(
    opened: LocalStore, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await matching(opened, Rows="4") == 16 and await matching(opened, "study", Manufacturer="x") == 0
    monkeypatch.setattr(looking.Snapshot, "_of_levels", None)
    assert await matching(opened, Rows="4") == 16 and await matching(opened, "study", Manufacturer="y") == 0
    assert read == []


async def test_large_values_are_read_from_the_header_each_time(opened: LocalStore, read: list[int]) -> None:
    text = "x" * extracted.LARGEST
    await store(opened, dicom("1.9", "1.9.1", "1.9.1.1", ImageComments=text))
    for _ in range(2):
        assert await matching(opened, ImageComments="xxx*") == 1
    assert read.count(17) == 2 and read.count(1) == 1


async def test_a_form_with_many_keys_is_answered_but_not_remembered(opened: LocalStore, read: list[int]) -> None:
    keys = "KVP ImageComments SliceThickness ExposureTime Exposure FilterType FocalSpots ConvolutionKernel SliceLocation".split()
    assert len(keys) > looking.AT_ONCE
    for _ in range(2):
        assert await matching(opened, emptyvaluematching="true", **dict.fromkeys(keys[2:], '""'), KVP="120", ImageComments="of 1") == 4
    assert len(read) == 32


async def test_two_processes_share_what_was_left_behind(opened: LocalStore, open_store: OpenStore, read: list[int]) -> None:
    other = open_store(durable=False)
    first, second = await asyncio.gather(matching(opened, KVP="120"), matching(other, KVP="120"))
    assert first == second == 8
    read.clear()
    await store(other, dicom("1.9", "1.9.1", "1.9.1.1", KVP="120"))
    assert await matching(opened, KVP="120") == 9 and await matching(other, KVP="120") == 9
    assert read == [17]
    await other.delete(Resource("1.1"))
    assert await matching(opened, KVP="120") == 5


async def test_values_that_come_after_the_delete_are_not_kept(opened: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Any] = []
    monkeypatch.setattr(opened._writer, "post", late.append)
    await matching(opened, KVP="120")
    await opened.delete(Resource("1.1"))
    for work in late:
        await opened._writer.run(work)
    kept = opened._readers.read(lambda db: db.execute("SELECT generation FROM extracted").fetchall())
    assert sorted(kept) == [(generation,) for generation in range(5, 17)]


async def test_what_is_kept_is_joined_by_its_key(opened: LocalStore) -> None:
    await matching(opened, KVP="120")
    statements: list[str] = []
    db = opened._readers.apart()
    db.set_trace_callback(statements.append)
    readers = type("Watched", (), {"apart": lambda self: db})()
    asked = query("instance", KVP="120")
    looking.Snapshot(readers, opened._headers, extracted.Keeper(opened._writer.post), plan_of(asked))
    steps = [detail for *_, detail in db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}")]
    db.close()
    assert "SEARCH x0 USING PRIMARY KEY (tag=? AND generation=?) LEFT-JOIN" in steps
    assert not [step for step in steps if "ORDER BY" in step], steps
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN s USING COVERING INDEX study_keys"], steps


@pytest.mark.parametrize("step", ["__init__", "next"])
async def test_a_cancelled_search_gives_its_snapshot_up(opened: LocalStore, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whether it is being made, or looked through."""
    begun, cancelled, closed = threading.Event(), threading.Event(), threading.Event()
    does, close = getattr(looking.Snapshot, step), looking.Snapshot.close

    def held(snapshot: looking.Snapshot, *arguments: Any) -> Any:
        begun.set()
        assert cancelled.wait(30)
        return does(snapshot, *arguments)

    def watched(snapshot: looking.Snapshot) -> None:
        close(snapshot)
        closed.set()

    with monkeypatch.context() as patched:
        patched.setattr(looking.Snapshot, step, held)
        patched.setattr(looking.Snapshot, "close", watched)
        searching = asyncio.create_task(opened.search(query("instance", KVP="120")))
        assert await asyncio.to_thread(begun.wait, 30)
        searching.cancel()
        await asyncio.sleep(0)
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await searching
        assert closed.is_set()
    assert await matching(opened, KVP="120") == 8


# -- whatever happens in between


async def answer(backend: Backend, asked: Query) -> tuple[int | None, list[str]]:
    """How many there are beyond what is shown, and what is shown; its order is only told while nothing is replaced."""
    matches = await backend.search(asked)
    return matches.remaining, sorted(json.dumps(json.loads(result), sort_keys=True) for result in matches.results)


def item(text: str) -> Dataset:
    inner = Dataset()
    inner.KVP, inner.ImageComments, inner.ContrastBolusAgent = "80", text, "B*"
    return inner


CHANGED = [
    {"KVP": "80", "ContrastBolusAgent": ["B*", 'a"}'], "SourceImageSequence": [item("x")], "PatientWeight": "70"},
    {"KVP": "120", "ImageComments": 'x" } {"00180060":', "StationName": "CT1", "AcquisitionDateTime": "20240131"},
    {"ContrastBolusAgent": "Ä" * 60, "SpecificCharacterSet": "ISO_IR 192", "RequestAttributesSequence": [item("x")], "KVP": ""},
]
"""What instances look like that come later: keys that earlier ones have, in items and in texts of other attributes, and large."""

KEYS_OF_HEADERS = KEYS | {
    "ImageComments": st.sampled_from(["x*", "*{*", "x"]),
    "SourceImageSequence.KVP": st.sampled_from(["80", "120"]),
    "RequestAttributesSequence.ImageComments": st.sampled_from(["x", "y"]),
    "SliceLocation": st.sampled_from(["1", "2"]),
}
NAMES = ["KVP", "ContrastBolusAgent", "PatientWeight", "StationName", "AcquisitionDateTime", *KEYS_OF_HEADERS]


@st.composite
def searches(draw: st.DrawFn) -> Query | None:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    params = {name: draw(KEYS_OF_HEADERS[name] | st.just('""')) for name in names}
    params |= {"emptyvaluematching": draw(st.sampled_from(["true", "false"])), "limit": draw(st.sampled_from(["1000", "0"]))}
    level = draw(st.sampled_from(list(PARENTS)))
    try:
        return query(level, draw(st.sampled_from(PARENTS[level])), **params)
    except InvalidQuery:
        return None


PLACES = st.tuples(st.integers(1, 10), st.integers(1, 2), st.integers(1, 2))
CHANGES = st.tuples(st.just("store"), PLACES, st.sampled_from(CHANGED)) | st.tuples(st.just("delete"), PLACES, st.integers(1, 3))
STEPS = st.lists(searches() | CHANGES, min_size=4, max_size=12)


async def change(backend: Backend, what: str, place: tuple[int, int, int], how: Any) -> str:
    number, series, instance = place
    uids = f"1.{number}", f"1.{number}.{series}", f"1.{number}.{series}.{instance}"
    if what == "store":
        return str(len((await store(backend, dicom(*uids, **how))).stored))
    try:
        return str(await backend.delete(named(*uids[:how])))
    except (Gone, NotFound) as error:
        return type(error).__name__


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_it_is_the_same_as_in_memory_whatever_was_kept_before(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: list[Any]
) -> None:
    monkeypatch.setattr(extracted, "MOST_TAGS", 3)
    monkeypatch.setattr(extracted, "LARGEST", 80)
    memory = MemoryBackend(on_duplicate=OnDuplicate.REPLACE)
    local = LocalStore(tmp_path_factory.mktemp("kept"), on_duplicate=OnDuplicate.REPLACE, durable=False)
    try:
        for backend in (memory, local):
            await store(backend, *archive())
        for step in steps:
            if isinstance(step, Query):
                expected = await answer(memory, step)
                for _ in range(2):
                    assert await answer(local, step) == expected
                    await settled(local)
            elif step is not None:
                assert await change(local, *step) == await change(memory, *step)
        assert local._readers.read(_astray) == []
    finally:
        await local.aclose()
        await memory.aclose()


def _astray(db: Any) -> list[Any]:
    """Values of instances that are not there, or of attributes that are not known to be kept."""
    rows: list[Any] = db.execute("""SELECT tag, generation FROM extracted
        WHERE generation NOT IN (SELECT generation FROM instance) OR tag NOT IN (SELECT tag FROM extracted_tag)""").fetchall()
    return rows
