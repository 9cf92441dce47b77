"""/rendered at every level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.dicomweb.rendering import Rendering
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest, NotAcceptable, NotFound
from tests.backends.made import parts, read
from tests.backends.pictured.gallery import REPORT, Gallery, document, grey, image, instance, pixels, video

PNGS = 'multipart/related; type="image/png"'
ANY = "multipart/related"


async def levels(gallery: Gallery, resource: Resource, accept: str = PNGS) -> list[int]:
    """The grey level of each part."""
    return [int(pixels(data)[0, 0]) for _, data in await parts(await gallery.body(resource, accept))]


async def test_one_picture_of_an_instance(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20, 30)))
    assert (await gallery.body(resource, "*/*")).media_type == "image/jpeg"
    assert await levels(gallery, await gallery.add(image(grey(7)))) == [7]


async def test_many_frames(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20, 30)))
    assert await levels(gallery, resource) == [10, 20, 30]
    some = replace(resource, frames=(3, 1, 3))
    assert await levels(gallery, some) == [30, 10, 30]
    assert (await gallery.body(some, "*/*")).media_type.startswith('multipart/related; type="image/jpeg"')
    assert (await gallery.body(some, "image/gif")).media_type == "image/gif"
    assert await levels(gallery, replace(resource, frames=(2,))) == [20]
    with pytest.raises(NotAcceptable):
        await gallery.body(some, "image/png")


async def test_frames_that_are_not_there(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20)))
    for frames in ((3,), (1, 3)):
        with pytest.raises(NotFound):
            await gallery.body(replace(resource, frames=frames), PNGS)


async def test_more_frames_are_claimed_than_are_there(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20), NumberOfFrames=1_000_000))
    assert await levels(gallery, resource) == [10, 20]
    with pytest.raises(NotFound):
        await gallery.body(resource, "image/gif")


async def test_a_study_is_one_part_an_instance(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    await gallery.add(
        image(grey(30, 31), ("1.1", "1.1.2", "1.1.2.1"), SeriesNumber="2"),
        image(grey(20), ("1.1", "1.1.1", "1.1.1.2"), SeriesNumber="1", InstanceNumber="2"),
        image(grey(10), ("1.1", "1.1.1", "1.1.1.1"), SeriesNumber="1", InstanceNumber="1"),
        instance(REPORT, "SR", ("1.1", "1.1.3", "1.1.3.1")),
        document(b"%PDF-1.4", uids=("1.1", "1.1.4", "1.1.4.1")),
        video(b"\0\0\0\x20ftypisom", ("1.1", "1.1.5", "1.1.5.1")),
    )
    assert await levels(gallery, Resource("1.1")) == [10, 20, 30]
    assert await levels(gallery, Resource("1.1", "1.1.1")) == [10, 20]
    every = await parts(await gallery.body(Resource("1.1"), "*/*"))
    assert sorted(media for media, _ in every) == ["application/pdf", "image/jpeg", "image/jpeg", "image/jpeg", "video/mp4"]
    assert await parts(await gallery.body(Resource("1.1"), 'multipart/related; type="application/pdf"')) == [
        ("application/pdf", b"%PDF-1.4")
    ]


async def test_what_is_damaged_costs_only_itself(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    uids = [("1.1", "1.1.1", f"1.1.1.{number}") for number in range(3)]
    await gallery.add(image(grey(1), uids[0]), image(grey(2), uids[1], PixelData=b"\0\0"), image(grey(3), uids[2]))
    assert await levels(gallery, Resource("1.1")) == [1, 3]


async def test_nothing_that_can_be_drawn(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    report = await gallery.add(instance(REPORT, "SR"))
    for resource, accept in ((report, "*/*"), (Resource("1.1"), ANY)):
        with pytest.raises(NotAcceptable, match="nothing to be seen"):
            await gallery.body(resource, accept)
    with pytest.raises(NotFound):
        await gallery.body(Resource("1.7"), ANY)


async def test_a_study_is_no_single_part(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    await gallery.add(image(grey(10)))
    with pytest.raises(NotAcceptable):
        await gallery.body(Resource("1.1"), "image/jpeg")
    assert not gallery.pool.ran


@pytest.mark.parametrize("resource", [Resource("1.1"), Resource("1.1", "1.1.1", "1.1.1.1")])
async def test_a_transfer_syntax_is_refused(tmp_path: Path, resource: Resource) -> None:
    gallery = Gallery(tmp_path)
    await gallery.add(image(grey(10)))
    with pytest.raises(BadRequest):
        await gallery.body(resource, 'multipart/related; type="image/jpeg"; transfer-syntax=*')


async def test_the_url_wins(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    body = await gallery.body(await gallery.add(image(grey(10))), "image/png", header='multipart/related; type="application/octet-stream"')
    assert body.media_type == "image/png"
    await body.aclose()


async def test_warnings_are_said_once(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20)))
    for asked in (resource, Resource("1.1")):
        body = await gallery.body(asked, PNGS, Rendering(warnings=("no such annotation",)))
        assert body.served.warnings == ("no such annotation",)
        await read(body)
