"""Multi-frame images in motion."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from gateway.backends.pictured.motion import cine
from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Viewport
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.pixels.limits import PixelLimits
from tests.backends.made import read
from tests.backends.pictured.gallery import Gallery, grey, image

COLOUR = np.zeros((3, 8, 8, 3), np.uint8)
COLOUR[0, ..., 0] = COLOUR[1, ..., 1] = COLOUR[2, ..., 2] = 255


async def gif(gallery: Gallery, resource: Resource, rendering: Rendering = AS_IT_IS) -> tuple[list[int], list[int]]:
    """Grey level and milliseconds of each frame."""
    body = await gallery.body(resource, "image/gif", rendering)
    picture = Picture.open(io.BytesIO(await read(body)))
    frames = []
    times = []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        frames.append(int(np.asarray(picture.convert("L"))[0, 0]))
        times.append(int(picture.info.get("duration", 0)))
    assert picture.info.get("loop", 0) == 0
    return frames, times


async def test_all_frames_at_their_pace(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    assert await gif(gallery, await gallery.add(image(grey(0, 50, 100), FrameTime=40))) == ([0, 50, 100], [40] * 3)


async def test_some_frames(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(0, 50, 100, 150)))
    assert (await gif(gallery, replace(resource, frames=(4, 2))))[0] == [150, 50]
    assert (await gif(gallery, replace(resource, frames=(4,))))[0] == [150]


async def test_of_too_many_every_second_one(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, PixelLimits(cine_frames=3))
    frames, times = await gif(gallery, await gallery.add(image(grey(0, 10, 20, 30, 40), FrameTime=40)))
    assert (frames, times) == ([0, 20, 40], [80] * 3)


async def test_no_more_pixels_than_one_picture(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, PixelLimits(picture_pixels=64))
    resource = await gallery.add(image(grey(0, 50, 100, 150)))
    body = await gallery.body(resource, "image/gif")
    assert Picture.open(io.BytesIO(await read(body))).size == (4, 4)


async def test_a_viewport(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    body = await gallery.body(await gallery.add(image(grey(0, 50))), "image/gif", Rendering(Viewport(16, 16)))
    assert Picture.open(io.BytesIO(await read(body))).size == (16, 16)


async def test_colours(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    body = await gallery.body(await gallery.add(image(COLOUR)), "image/gif")
    picture = Picture.open(io.BytesIO(await read(body)))
    seen = []
    for number in range(3):
        picture.seek(number)
        seen.append(np.asarray(picture.convert("RGB"))[4, 4].tolist())
    assert seen == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


@pytest.mark.parametrize("claimed", [2_000_000_000, 10**300])
async def test_billions_of_frames_are_claimed(tmp_path: Path, claimed: int) -> None:
    """They are not counted one by one."""
    gallery = Gallery(tmp_path)
    subject = await gallery.subject(await gallery.add(image(grey(1, 2))), "image/gif")
    header = replace(subject.header, image=replace(subject.image, frames=claimed))
    with pytest.raises(NotFound):
        await cine(gallery.studio, replace(subject, header=header))
