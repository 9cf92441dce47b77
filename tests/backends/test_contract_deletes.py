"""What every backend must do with deletes; see `test_contract`."""

from __future__ import annotations

import json

import pytest

from gateway.backends.base import Backend, View
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound
from tests.backends.made import ABSENT, AS_STORED, FIRST, JSON, SINGLE, dicom, found, named, query, read, store, study, wants


@pytest.mark.parametrize(("uids", "count", "left"), [(("1.1",), 4, 0), (("1.1", "1.1.1"), 2, 2), (("1.1", "1.1.1", "1.1.1.1"), 1, 3)])
async def test_deleted_resources_are_there_no_more(backend: Backend, uids: tuple[str, ...], count: int, left: int) -> None:
    await store(backend, *study("1.1"))
    assert await backend.delete(named(*uids)) == count
    with pytest.raises(ABSENT):
        await backend.retrieve(wants(View.INSTANCES, AS_STORED, *uids))
    with pytest.raises(ABSENT):
        await backend.delete(named(*uids))
    assert len((await backend.search(query("instance"))).results) == left
    assert await found(backend, "study", "00201208") == ([left] if left else [])


async def test_a_deleted_series_leaves_a_right_study(backend: Backend) -> None:
    await store(
        backend,
        dicom("1.1", "1.1.1", "1.1.1.1", StudyDescription="first"),
        dicom("1.1", "1.1.2", "1.1.2.1", Modality="MR", StudyDescription="second"),
    )
    await backend.delete(Resource("1.1", "1.1.1"))
    result = json.loads((await backend.search(query())).results[0])
    assert result["00080061"]["Value"] == ["MR"] and result["00201206"]["Value"] == [1]
    assert result["00081030"]["Value"] == ["second"]


async def test_the_last_instance_takes_series_and_study_with_it(backend: Backend) -> None:
    await store(backend, dicom())
    await backend.delete(Resource("1.1", "1.1.1", "1.1.1.1"))
    for uids in (("1.1",), ("1.1", "1.1.1")):
        with pytest.raises(ABSENT):
            await backend.retrieve(wants(View.INSTANCES, AS_STORED, *uids))


@pytest.mark.parametrize("view", [View.INSTANCES, View.METADATA, View.BULKDATA, View.PIXELDATA])
async def test_what_was_deleted_is_known_to_be_gone(backend: Backend, view: View) -> None:
    accept = JSON if view is View.METADATA else parse_accept(["*/*"])
    for uids in (FIRST, FIRST[:2], FIRST[:1]):
        await store(backend, dicom())
        await backend.delete(named(*uids))
        for depth in (1, 2, 3):  # the only instance takes what is above it along
            with pytest.raises(Gone):
                await backend.retrieve(wants(view, accept, *FIRST[:depth]))
            with pytest.raises(Gone):
                await backend.delete(named(*FIRST[:depth]))


async def test_what_was_deleted_can_be_stored_again(backend: Backend) -> None:
    data = dicom()
    await store(backend, data)
    await backend.delete(Resource("1.1"))
    assert len((await store(backend, data)).stored) == 1
    assert await read(await backend.retrieve(wants(View.INSTANCES, SINGLE, "1.1", "1.1.1", "1.1.1.1"))) == data


async def test_deleting_the_unknown_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFound):
        await backend.delete(Resource("9"))
