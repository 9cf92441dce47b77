"""Searches over text that means something to SQL, GLOB or regular expressions: all backends find the same; see `test_contract`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.backends.base import Backend
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InvalidQuery
from tests.backends.conftest import Make
from tests.backends.made import dicom, found, query, store

NAMES = [
    "Doe^Jane",
    "DOE^JOHN",
    "Müller^Jörg",
    "MÜLLER",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "=山田",
    'O\'Neil^"Q"',
    "%",
    "Doe_^[J]*?",
    "",
]
IDS = ["P1", "p1", "P[1]", "P%", "P_1", "P*", "P?1", "'; DROP TABLE study; --", 'a"b', ""]
DATES = ["20231231", "20240131", "20240201", ""]
TIMES = ["10", "1030", "103015.5", "235959.999999", ""]
NUMBERS = ["1", "+2", "007", ""]
STEPS = ["S1", "S[1]", "%S", ""]
WEIGHTS = ["70", "70.5", "+70", ""]
KVPS = ["120", "120.0", "80", ""]
STATIONS = ["CT1", "ct1", "ROOM[2]", ""]
STAMPS = ["20240131103015.5+0100", "20240131", "20230101000000", ""]
DOSES = ["Ä", "b\\c", "B*", ""]

WIDE = {"limit": "1000"}


def requested(*steps: str) -> list[Dataset]:
    items = []
    for step in steps:
        item = Dataset()
        item.ScheduledProcedureStepID, item.RequestedProcedureID = step, f"R{step}"
        items.append(item)
    return items


def archive() -> list[bytes]:
    """Ten studies in which each of the values above occurs."""
    files = []
    for number, (name, patient) in enumerate(zip(NAMES, IDS, strict=True), 1):
        for series in range(1 + number % 2):
            uids = f"1.{number}", f"1.{number}.{series + 1}", f"1.{number}.{series + 1}.1"
            files.append(
                dicom(
                    *uids,
                    SpecificCharacterSet="ISO_IR 192",
                    PatientName=name,
                    PatientID=patient,
                    ReferringPhysicianName=NAMES[-number],
                    AccessionNumber=IDS[-number][:16],
                    StudyDate=DATES[number % 4],
                    StudyTime=TIMES[number % 5],
                    PatientWeight=WEIGHTS[number % 4],
                    StationName=STATIONS[(number + series) % 4],
                    KVP=KVPS[(number + series) % 4],
                    AcquisitionDateTime=STAMPS[number % 4],
                    ContrastBolusAgent=DOSES[(number + series) % 4],
                    PerformedProcedureStepStartDate=DATES[(number + series) % 4],
                    PerformedProcedureStepStartTime=TIMES[(number + series) % 5],
                    Modality=["CT", "MR", "SEG"][(number + series) % 3],
                    SeriesNumber=NUMBERS[(number + series) % 4],
                    InstanceNumber=NUMBERS[number % 4],
                    RequestAttributesSequence=requested(STEPS[number % 4], STEPS[(number + 1) % 4])[: number % 3],
                )
            )
    return files


# -- the same results from all


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Backend, Backend]]:
    backends = MemoryBackend(), LocalStore(tmp_path / "store", durable=False)
    for backend in backends:
        assert not (await store(backend, *archive())).failed
    yield backends
    for backend in backends:
        await backend.aclose()


def values(*pool: str) -> st.SearchStrategy[str]:
    pattern = st.text("".join(sorted({*"".join(pool), *"*?[]%_'\\^="})), max_size=6)
    part = st.sampled_from(pool).flatmap(lambda text: st.integers(0, len(text)).map(lambda cut: f"{text[:cut]}*"))
    return st.sampled_from(pool) | part | pattern | st.tuples(*[st.sampled_from(pool)] * 2).map("\\".join)


def ranges(*pool: str) -> st.SearchStrategy[str]:
    return st.sampled_from(pool) | st.tuples(st.sampled_from(pool), st.sampled_from(pool)).map("-".join)


KEYS: dict[str, st.SearchStrategy[str]] = {
    "PatientName": values(*NAMES, "doe^jane", "MÜLLER^JÖRG", "yamada^tarou", "*太郎*"),
    "ReferringPhysicianName": values(*NAMES),
    "PatientID": values(*IDS),
    "AccessionNumber": values(*(text[:16] for text in IDS)),
    "StudyDate": ranges(*DATES, "20240101"),
    "StudyTime": ranges(*TIMES, "1030", "23"),
    "ModalitiesInStudy": values("CT", "MR", "SEG", "CT,MR"),
    "StudyInstanceUID": st.sampled_from(["1.1", "1.2,1.3", "1.10\\1.1", "9"]),
    "Modality": values("CT", "MR", "SEG"),
    "SeriesNumber": st.sampled_from([*NUMBERS, "2", "7", "1.0", "1\\2"]),
    "RequestAttributesSequence.ScheduledProcedureStepID": values(*STEPS),
    "RequestAttributesSequence.RequestedProcedureID": values(*(f"R{step}" for step in STEPS)),
    "SeriesInstanceUID": st.sampled_from(["1.1.1", "1.2.1,1.3.2", "9"]),
    "InstanceNumber": st.sampled_from([*NUMBERS, "2", "7"]),
    "PatientWeight": st.sampled_from([*WEIGHTS, "70\\80", "70.50"]),
    "KVP": st.sampled_from([*KVPS, "1"]),
    "StationName": values(*STATIONS),
    "AcquisitionDateTime": ranges(*STAMPS, "2024", "20240131093015"),
    "ContrastBolusAgent": values(*DOSES),
    "PerformedProcedureStepStartDate": ranges(*DATES),
    "PerformedProcedureStepStartTime": ranges(*TIMES, "23"),
    "NumberOfStudyRelatedInstances": st.sampled_from(["1", "2", "3"]),
    "NumberOfStudyRelatedSeries": st.sampled_from(["1", "2"]),
    "AvailableTransferSyntaxUID": st.sampled_from(["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]),
    "00020010": st.sampled_from(["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]),
    "InstanceAvailability": values("ONLINE", "OFFLINE"),
    "PixelData": st.just(""),
    "SOPInstanceUID": st.sampled_from(["1.1.1.1", "1.2.1.1,1.3.2.1"]),
}
INCLUDED = [
    "",
    "all",
    "PatientWeight",
    "KVP,StationName",
    "00020010,00083002",
    "PatientName,Modality",
    "ModalitiesInStudy",
    "PixelData",
    "Rows",
]
PARENTS: dict[Level, list[Resource]] = {
    "study": [Resource()],
    "series": [Resource(), Resource("1.3")],
    "instance": [Resource(), Resource("1.3"), Resource("1.3", "1.3.1")],
}


async def answer(backend: Backend, asked: Query) -> tuple[Any, ...]:
    """What is found, or that it is refused."""
    try:
        matches = await backend.search(asked)
    except InvalidQuery:
        return ("refused",)
    return matches.remaining, [json.loads(result) for result in matches.results]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_memory_and_index_answer_every_search_alike(both: tuple[Backend, Backend], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3, unique=True))
    params = {name: data.draw(KEYS[name] | st.just('""')) for name in names}
    params |= {name: data.draw(st.sampled_from(["true", "false"])) for name in ("fuzzymatching", "emptyvaluematching")}
    params["includefield"] = data.draw(st.sampled_from(INCLUDED))
    pages = data.draw(st.sampled_from([WIDE, {"limit": "0"}, {"limit": "2", "offset": "1"}, {"offset": "50"}]))
    level = data.draw(st.sampled_from(list(PARENTS)))
    resource = data.draw(st.sampled_from(PARENTS[level]))
    try:
        asked = query(level, resource, **params, **pages)
    except InvalidQuery:
        return
    expected, got = await asyncio.gather(*(answer(backend, asked) for backend in both))
    assert got == expected


# -- by hand


@pytest.mark.parametrize("text", [text for text in IDS if text and not set(text) & set("*?")])
async def test_text_is_text(make: Make, text: str) -> None:
    """No character of a value is taken for a part of a statement or pattern."""
    backend = make()
    await store(backend, *archive())
    assert await found(backend, "study", "00100020", PatientID=text) == [text]
    assert len((await backend.search(query(**WIDE))).results) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("doe^jane", ["1.1"]),
        ("müller^jörg", ["1.3"]),
        ("MÜLLER*", ["1.3", "1.4"]),
        ("Yamada^Tarou", ["1.5"]),
        ("yamada^tarou=山田^太郎=やまだ^たろう", ["1.5"]),
        ("*Tarou", ["1.5"]),
        ("*山田*", ["1.5", "1.6"]),
        ("YAMADA^TAROU=山田^太郎", ["1.5"]),
        ("山田^太郎", ["1.5"]),
        ("やまだ*", ["1.5"]),
        ("山田", ["1.6"]),
        ("Doe^Jane^^", ["1.1"]),
        ("Doe", []),
        ("o'neil*", ["1.7"]),
        ("%", ["1.8"]),
        ("Doe_*", ["1.9"]),
        ("*[J]*", ["1.9"]),
        ("doe^jane\\%", ["1.1", "1.8"]),
    ],
)
async def test_names_are_matched_without_regard_to_case_whole_or_by_groups(make: Make, name: str, expected: list[str]) -> None:
    backend = make()
    await store(backend, *archive())
    assert sorted(await found(backend, "study", "0020000D", PatientName=name)) == expected


@pytest.mark.parametrize(("name", "expected"), [("muller^jorg", ["1.3"]), ("muller", ["1.4"])])
async def test_names_are_matched_without_regard_to_accents(backend: Backend, name: str, expected: list[str]) -> None:
    await store(backend, *archive())
    assert await found(backend, "study", "0020000D", PatientName=name) == expected


async def test_an_empty_page_is_empty(backend: Backend) -> None:
    await store(backend, *archive())
    for limit, offset in (("0", "0"), ("0", "3"), ("3", "100")):
        matches = await backend.search(query(limit=limit, offset=offset))
        assert matches.results == () and (matches.remaining == 0) == (offset == "100")


async def test_an_empty_page_says_how_many_there_are(make: Make) -> None:
    backend = make()
    await store(backend, *archive())
    assert (await backend.search(query(limit="0"))).remaining == len(NAMES)
    assert (await backend.search(query(limit="0", offset="3"))).remaining == len(NAMES) - 3
    assert (await backend.search(query(limit="3", offset="100"))).remaining == 0
