"""Overviews of slides, segmentations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.backends.pictured import mosaics
from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.limits import PixelLimits
from gateway.pixels.work import NotDrawable
from tests.backends.made import parts
from tests.backends.pictured.gallery import Gallery, grey, segmentation, slide

TILES = np.stack([np.full((8, 8, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250), (9, 9, 9))])
UPPER, LOWER = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
UPPER[:4] = 1
LOWER[2:] = 1


async def test_a_slide_is_all_of_its_tiles(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    shown = await gallery.picture(await gallery.add(slide(TILES, 16, 16)))
    assert shown[::8, ::8].tolist() == [[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [9, 9, 9]]]
    assert shown.shape == (16, 16, 3)


async def test_a_frame_of_a_slide_is_a_tile(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(slide(TILES, 16, 16))
    assert (await gallery.picture(replace(resource, frames=(2,))))[0, 0].tolist() == [0, 250, 0]
    assert len(await parts(await gallery.body(resource, 'multipart/related; type="image/png"'))) == 1


async def test_tiles_reach_beyond_the_edge(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    assert (await gallery.picture(await gallery.add(slide(TILES, 10, 14)))).shape == (10, 14, 3)


async def test_a_viewport_and_a_part_of_it(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(slide(TILES, 16, 16))
    assert (await gallery.picture(resource, Rendering(Viewport(4, 4))))[::2, ::2].tolist()[0] == [[250, 0, 0], [0, 250, 0]]
    part = await gallery.picture(resource, Rendering(Viewport(8, 8, (8, 8, 8, 8))))
    assert np.all(part == 9)
    assert np.all(await gallery.picture(resource, Rendering(region=(0.5, 0.5, 1, 1))) == 9)


async def test_a_large_slide_is_made_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosaics, "SIDE", 8)
    gallery = Gallery(tmp_path, PixelLimits(picture_pixels=100))
    resource = await gallery.add(slide(TILES, 16, 16))
    assert (await gallery.picture(resource)).shape == (8, 8, 3)
    with pytest.raises(NotDrawable, match="frames"):
        await gallery.picture(resource, Rendering(Viewport(8, 8, (8, 8, 8, 8))))


@pytest.mark.parametrize("bound", ["TILES", "DECODED"])
async def test_too_many_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(mosaics, bound, 3)
    gallery = Gallery(tmp_path)
    resource = await gallery.add(slide(TILES, 16, 16))
    with pytest.raises(NotDrawable, match="too long"):
        await gallery.picture(resource)
    assert not gallery.pool.ran


async def test_grey_tiles_get_one_window(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    shown = await gallery.picture(await gallery.add(slide(grey(0, 100, 200, 250), 16, 16)))
    assert [int(value) for value in shown[::8, ::8, 0].ravel()] == [0, 100, 200, 250]


async def test_segments_of_the_middle_place_together(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    frames, masks = [(1, 0.0), (1, 1.0), (2, 1.0), (2, 2.0)], np.stack([UPPER * 0, UPPER, LOWER, LOWER])
    resource = await gallery.add(segmentation(frames, masks))
    shown = await gallery.picture(resource)
    red, both, other = shown[0, 0], shown[3, 0], shown[7, 0]
    assert np.all(np.abs(red.astype(int) - [255, 0, 0]) <= 2)
    assert other.tolist() == [70, 180, 80]
    assert both.tolist() == np.maximum(red, other).tolist()
    alone = await gallery.picture(replace(resource, frames=(3,)))
    assert alone[0, 0].tolist() == [0, 0, 0]
    assert alone[7, 0].tolist() == [70, 180, 80]
    assert (await gallery.thumbnail(resource)).shape == (128, 128, 3)
