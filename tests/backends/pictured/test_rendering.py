"""/rendered at every level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.dicomweb.rendering import Rendering, Viewport, Window
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest, NotAcceptable, NotFound
from gateway.pixels.limits import PixelLimits
from tests.backends.made import parts, read
from tests.backends.pictured.gallery import REPORT, Gallery, document, grey, image, instance, pixels, state, video

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


async def test_a_part_that_the_picture_does_not_have(tmp_path: Path) -> None:
    """What is asked for is wrong then, and not what can be had (PS3.18 8.3.5.1.3)."""
    gallery = Gallery(tmp_path, PixelLimits(picture_pixels=1_000))
    resource = await gallery.add(image(grey(10)))
    outside, huge = (Rendering(Viewport(*size)) for size in ((5, 5, (8.0, None, None, None)), (100, 100)))
    for asked in (resource, replace(resource, frames=(1,)), Resource("1.1")):
        with pytest.raises(BadRequest, match="outside of the picture"):
            await gallery.body(asked, PNGS, outside)
        with pytest.raises(BadRequest, match="100 x 100 pixels is too large"):
            await gallery.body(asked, PNGS, huge)


async def test_of_a_study_those_are_shown_that_have_the_part(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    wide = np.full((1, 8, 20), 30, np.uint8)
    await gallery.add(image(grey(10), ("1.1", "1.1.1", "1.1.1.1")), image(wide, ("1.1", "1.1.1", "1.1.1.2")))
    body = await gallery.body(Resource("1.1"), PNGS, Rendering(Viewport(5, 5, (10, None, None, None))))
    assert [int(pixels(data)[0, 0]) for _, data in await parts(body)] == [30]


async def test_a_gif_has_no_place_for_a_profile(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20)))
    for asked in (resource, replace(resource, frames=(1, 2)), Resource("1.1")):
        accept = "image/gif" if asked.instance else 'multipart/related; type="image/gif"'
        with pytest.raises(BadRequest, match="iccprofile: image/gif"):
            await gallery.body(asked, accept, Rendering(icc="yes"))
        await (await gallery.body(asked, accept, Rendering(icc="no"))).aclose()


async def test_a_presentation_state_says_itself_what_is_shown_how(tmp_path: Path) -> None:
    """As far as it is what is asked for (PS3.18 8.3.5.1.3, 8.3.5.1.4)."""
    gallery = Gallery(tmp_path)
    resource = await gallery.add(state(await gallery.add(image(grey(10)))))
    for wrong in (Rendering(window=Window(1, 2)), Rendering(Viewport(5, 5, (1, None, None, None)))):
        with pytest.raises(BadRequest, match="presentation state"):
            await gallery.body(resource, "*/*", wrong)
    await (await gallery.body(resource, "*/*", Rendering(Viewport(5, 5)))).aclose()
    await (await gallery.body(Resource("1.1"), PNGS, Rendering(window=Window(1, 2)))).aclose()
