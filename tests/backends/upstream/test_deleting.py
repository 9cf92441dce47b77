"""Deletes at an origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from gateway.backends.upstream import deleting
from gateway.backends.upstream.profiles import GOOGLE, ORTHANC, with_overrides
from gateway.dicomweb.resources import Resource
from gateway.errors import Conflict, Gone, NotFound, OriginFailed, OriginTimeout
from tests.backends.made import dicom, named, sops, store, study
from tests.backends.upstream.origins import OURS, each, gateway, playing, store_at
from tests.origins import orthanc
from tests.origins.google import google

KINDS = ["gateway", "google", "orthanc"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("uids", "count"), [(("1.1",), 4), (("1.1", "1.1.1"), 2), (("1.1", "1.1.1", "1.1.1.1"), 1)])
async def test_deletes_say_how_many_instances_went(tmp_path: Path, kind: str, uids: tuple[str, ...], count: int) -> None:
    async with each(kind, tmp_path) as backend:
        await store(backend, *study("1.1"), dicom("1.2", "1.2.1", "1.2.1.1"))
        assert await backend.delete(named(*uids)) == count
        assert len(await sops(backend)) == 5 - count
        with pytest.raises((NotFound, Gone)):
            await backend.delete(named(*uids))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "uids", [("9",), ("1.1", "9"), ("1.1", "1.1.1", "9"), ("9", "1.1.1"), ("9", "1.1.1", "1.1.1.1"), ("1.1", "9", "1.1.1.1")]
)
async def test_what_is_not_there_is_not_deleted(tmp_path: Path, kind: str, uids: tuple[str, ...]) -> None:
    async with each(kind, tmp_path) as backend:
        await store(backend, dicom())
        with pytest.raises(NotFound, match="there is no such"):
            await backend.delete(named(*uids))
        assert await sops(backend) == ["1.1.1.1"]


async def test_an_origin_that_remembers_what_was_deleted_is_believed(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (backend, _):
        await store(backend, dicom())
        await backend.delete(Resource("1.1"))
        with pytest.raises(Gone, match="this study was deleted"):
            await backend.delete(Resource("1.1"))


async def test_orthanc_deletes_a_uid_only_where_it_was_asked_for(tmp_path: Path) -> None:
    there = orthanc.shared()
    there.empty()
    async with store_at(there.url, tmp_path, ORTHANC) as backend:
        await store(backend, dicom("1.1", "1.7", "1.7.1"), dicom("1.2", "1.7", "1.7.2", PatientID="P2"))
        assert await backend.delete(Resource("1.2", "1.7")) == 1
        assert await sops(backend) == ["1.7.1"]


async def test_an_operation_is_over_before_we_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "FIRST_LOOK", 0.001)
    async with google(polls=4) as fake, store_at(fake.url, tmp_path, GOOGLE) as backend:
        await store(backend, *study("1.1"))
        fake.calls.clear()
        assert await backend.delete(Resource("1.1")) == 4
        assert sum("/operations/" in call.path for call in fake.calls) == 4


@pytest.mark.parametrize(("patience", "error"), [(-1.0, OriginTimeout), (60.0, OriginFailed)])
async def test_an_operation_that_fails_or_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, error: type[Exception]
) -> None:
    monkeypatch.setattr(deleting, "FIRST_LOOK", 0.001)
    monkeypatch.setattr(deleting, "PATIENCE", patience)

    async def handle(request: web.Request) -> web.Response:
        if request.method == "DELETE":
            return web.json_response({"name": "operations/1"})
        if "operations" in request.path:
            return web.json_response({"done": True, "error": {"message": "secret"}})
        return web.Response(status=204)

    async with playing(handle, tmp_path, GOOGLE) as backend:
        with pytest.raises(error) as caught:
            await backend.delete(Resource("1.1"))
        assert "secret" not in str(caught.value)


async def test_a_profile_may_say_that_nothing_is_deleted(tmp_path: Path) -> None:
    async with gateway(tmp_path, with_overrides(OURS, {"deletes": "none"})) as (backend, _):
        await store(backend, dicom())
        with pytest.raises(Conflict, match="stays"):
            await backend.delete(Resource("1.1"))


async def test_an_answer_that_is_no_json_is_the_origins_failure(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text="<html>") if request.method == "DELETE" else web.Response(status=204)

    async with playing(handle, tmp_path, GOOGLE) as backend:
        with pytest.raises(OriginFailed, match="not JSON"):
            await backend.delete(Resource("1.1"))
