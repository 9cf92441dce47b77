"""What is asked of an origin to read from it."""

from __future__ import annotations

import pytest
from aiohttp import web

from gateway.backends.upstream.client import Answer, Client
from gateway.backends.upstream.credentials import Nobody
from gateway.backends.upstream.fetching import Fetching
from gateway.backends.upstream.profiles import GENERIC, with_overrides
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from tests.origins.endpoints import origin

INSTANCE = Resource("1.1", "1.2", "1.3", (3, 7))
PATH = "/dicom-web/studies/1.1/series/1.2/instances/1.3"


async def asked(what: str, **profile: object) -> tuple[str, str]:
    """The path and Accept of a call."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.path} {request.headers['Accept']}")

    async with origin(handle) as server:
        client = Client(str(server.make_url("/dicom-web")), Nobody(), name="pacs")
        fetching = Fetching(client, with_overrides(GENERIC, profile))
        calls = {
            "stored": lambda: fetching.instances(INSTANCE),
            "single": lambda: fetching.instances(INSTANCE, single=True),
            "explicit": lambda: fetching.instances(INSTANCE, syntax="1.2.840.10008.1.2.1"),
            "metadata": lambda: fetching.metadata(Resource("1.1")),
            "frames": lambda: fetching.frames(INSTANCE),
        }
        answer: Answer = await calls[what]()
        path, _, accept = (await answer.read(1000)).decode().partition(" ")
        await client.aclose()
        return path, accept


@pytest.mark.parametrize(
    ("what", "profile", "expected"),
    [
        ("stored", {}, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        ("stored", {"as_stored": False}, 'multipart/related; type="application/dicom"'),
        ("single", {}, 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        ("single", {"retrieves_single": True}, "application/dicom; transfer-syntax=*"),
        ("explicit", {"as_stored": False}, 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'),
    ],
)
async def test_instances_are_asked_for_as_the_origin_knows_it(what: str, profile: dict[str, object], expected: str) -> None:
    assert await asked(what, **profile) == (PATH, expected)


@pytest.mark.parametrize("what", ["instances", "frames"])
async def test_an_origin_that_has_no_content_does_not_have_it(what: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=204)

    async with origin(handle) as server:
        client = Client(str(server.make_url("/dicom-web")), Nobody(), name="pacs")
        fetching = Fetching(client, GENERIC)
        with pytest.raises(NotFound, match="no such instance"):
            await (fetching.instances if what == "instances" else fetching.frames)(INSTANCE)
        await client.aclose()


async def test_metadata_and_frames() -> None:
    assert await asked("metadata") == ("/dicom-web/studies/1.1/metadata", "application/dicom+json")
    assert await asked("frames") == (f"{PATH}/frames/3,7", 'multipart/related; type="application/octet-stream"; transfer-syntax=*')


async def test_what_is_not_there_is_not_found() -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=404)

    async with origin(handle) as server:
        client = Client(str(server.make_url("/")), Nobody(), name="pacs")
        with pytest.raises(NotFound):
            await Fetching(client, GENERIC).metadata(Resource("1.1"))
        await client.aclose()
