"""What is made of pixels, by view; all else is passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backends.base import View
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured import making as views
from gateway.backends.pictured.making import Making
from gateway.errors import NotAcceptable
from gateway.pixels.limits import PixelLimits
from tests.backends.made import AS_STORED, FIRST, JSON, content, dicom, named, query, read, store, wants
from tests.backends.pictured.picturing import RLE, Asked, Counting, of_frames, sources_of


@pytest.fixture
async def inner() -> Asked:
    return Asked(MemoryBackend())


@pytest.fixture
async def making(inner: Asked, tmp_path: Path) -> Making:
    return Making(sources_of(inner, tmp_path), Counting(), PixelLimits(), "*")


async def test_frames_are_never_given_as_they_are_stored(making: Making) -> None:
    await store(making, RLE.data)
    body = await making.retrieve(of_frames("image/dicom-rle, image/jls;q=0.1", *RLE.uids))
    assert body.media_type.startswith("image/jls") and await read(body)
    with pytest.raises(NotAcceptable):
        await making.retrieve(of_frames("image/dicom-rle", *RLE.uids))


@pytest.mark.parametrize(
    ("view", "name", "more"),
    [(View.INSTANCES, "instances", ("*",)), (View.RENDERED, "rendered", ()), (View.THUMBNAIL, "rendered", ()), (View.FRAMES, "frames", ())],
)
async def test_each_view_has_its_room(
    making: Making, inner: Asked, monkeypatch: pytest.MonkeyPatch, view: View, name: str, more: tuple[str, ...]
) -> None:
    asked: list[tuple[object, ...]] = []

    async def room(*given: object) -> None:
        asked.append(given)

    monkeypatch.setattr(views, name, room)
    retrieve = wants(view, AS_STORED, *FIRST)
    await making.retrieve(retrieve)
    assert asked[0][3:] == (retrieve, *more) and not inner.reads


async def test_all_else_is_passed_on(making: Making, inner: Asked) -> None:
    await store(making, dicom())
    retrieve = wants(View.METADATA, JSON, *FIRST)
    assert await read(await making.retrieve(retrieve)) and inner.reads == [retrieve]
    assert len((await making.search(query())).results) == 1
    assert (await making.check()).ready
    assert await content(inner) == dicom()
    assert await making.delete(named("1.1")) == 1
    await making.aclose()
    assert inner.closed == 1
