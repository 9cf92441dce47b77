"""One picture of an instance."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from gateway.backends.base import View
from gateway.backends.pictured.pictures import drawn
from gateway.dicomweb.rendering import Rendering, Viewport, Window
from gateway.errors import NotFound
from gateway.pixels.work import NotDrawable
from tests.backends.made import read
from tests.backends.pictured.gallery import REPORT, Gallery, grey, image, instance
from tests.backends.pictured.picturing import J2K, JPEG, RLE, TEN, Sample


async def test_a_frame_of_an_image(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20, 30)))
    assert np.all(await gallery.picture(resource) == 10)
    assert np.all(await gallery.picture(replace(resource, frames=(3,))) == 30)
    assert np.all(await gallery.thumbnail(resource) == 20)
    assert (await gallery.thumbnail(resource)).shape == (128, 128)


async def test_parameters_reach_it(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(100)))
    shown = await gallery.picture(resource, Rendering(Viewport(4, 4), Window(100, 200, "LINEAR_EXACT")))
    assert shown.shape == (4, 4)
    assert np.all(np.abs(shown.astype(int) - 128) <= 1)
    body = await gallery.body(resource, rendering=Rendering(warnings=("what was asked for is not done",)))
    assert body.served.warnings == ("what was asked for is not done",)
    await body.aclose()


@pytest.mark.parametrize("media", ["image/jpeg", "image/png", "image/gif"])
async def test_the_file_is_what_it_is_called(tmp_path: Path, media: str) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10)))
    for view in (View.RENDERED, View.THUMBNAIL):
        body = await gallery.body(resource, media, view=view)
        assert body.media_type == media
        assert Picture.MIME[Picture.open(io.BytesIO(await read(body))).format or ""] == media


@pytest.mark.parametrize("sample", [RLE, J2K, JPEG, TEN], ids=lambda sample: str(sample.name))
async def test_compressed_frames(tmp_path: Path, sample: Sample) -> None:
    gallery = Gallery(tmp_path)
    shown = await gallery.picture(await gallery.add(sample.data))
    assert shown.shape[:2] == (sample.dataset.Rows, sample.dataset.Columns)
    assert shown.std() > 10


async def test_frames_that_are_not_there(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10, 20), NumberOfFrames=100))
    with pytest.raises(NotFound):
        await gallery.picture(replace(resource, frames=(3,)))
    assert np.all(await gallery.thumbnail(resource) == 10)  # the middle one of a hundred is not there


async def test_what_has_no_picture(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    subject = await gallery.subject(await gallery.add(instance(REPORT, "SR")))
    with pytest.raises(NotDrawable):
        await drawn(gallery.studio, subject)
