"""One small picture at every level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.encaps import encapsulate

from gateway.backends.base import View
from gateway.backends.pictured import mosaics
from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels.render.special import Card
from gateway.pixels.work import NotDrawable
from tests.backends.pictured.gallery import (
    CT,
    REPORT,
    Gallery,
    channel,
    document,
    grey,
    group,
    image,
    instance,
    slide,
    state,
    video,
    waveform,
)


def numbered(number: int, series: str = "1.1.1", sop_class: str = CT, **more: Any) -> bytes:
    return image(grey(number * 10), ("1.1", series, f"{series}.{number}"), sop_class=sop_class, InstanceNumber=str(number), **more)


async def test_the_middle_image_of_a_series_and_a_study(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    await gallery.add(*(numbered(number) for number in (5, 3, 1, 2, 4)))
    for resource in (Resource("1.1", "1.1.1"), Resource("1.1")):
        shown = await gallery.thumbnail(resource)
        assert shown.shape == (128, 128)
        assert np.all(shown == 30)
    assert (await gallery.thumbnail(Resource("1.1"), Rendering(Viewport(50, 60)))).shape == (50, 50)


async def test_images_stand_for_a_study_before_captures(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    await gallery.add(
        numbered(1, "1.1.0", "1.2.840.10008.5.1.4.1.1.7"), numbered(2, "1.1.2"), instance(REPORT, "SR", ("1.1", "1.1.3", "1.1.3.1"))
    )
    assert np.all(await gallery.thumbnail(Resource("1.1")) == 20)


async def test_a_damaged_image_does_not_cost_a_series_its_thumbnail(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    await gallery.add(numbered(1), numbered(2, PixelData=b"\0\0"), numbered(3))
    assert np.all(await gallery.thumbnail(Resource("1.1")) == 10)
    assert (await gallery.thumbnail(Resource("1.1", "1.1.1", "1.1.1.2"))).ndim == 3  # a card: it has no frame
    with pytest.raises(NotFound):
        await gallery.thumbnail(Resource("1.1", "1.1.1", "1.1.1.2", (1,)))
    await gallery.add(numbered(2, "1.1.2", syntax="1.2.840.10008.1.2.4.90", PixelData=encapsulate([b"no codestream"])))
    with pytest.raises(NotDrawable):
        await gallery.thumbnail(Resource("1.1", "1.1.2"))


@pytest.mark.parametrize(
    ("file", "title", "line"),
    [
        (instance(REPORT, "SR"), "SR", "report"),
        (document(b"%PDF"), "DOC", "document"),
        (video(b"\0\0\0\1abc"), "ES", "video"),
        (waveform(group(np.zeros((9, 1), np.int16), [channel("I")])), "ECG", "waveform"),
        (state(Resource("1.1", "1.1.1", "1.1.1.1"), ("1.1", "1.1.1", "1.1.1.1")), "PR", "presentation"),
        (instance(REPORT, "DOE_JANE"), "DICOM", "no picture"),
    ],
)
async def test_a_card_for_what_is_no_image(tmp_path: Path, file: bytes, title: str, line: str) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(file)
    for level in (resource, Resource(resource.study)):
        assert (await gallery.thumbnail(level, Rendering(annotation=("patient",)))).shape == (128, 128, 3)
    work = gallery.pool.ran[0]
    assert isinstance(work, Card)
    assert (work.title, work.line, work.rendering.annotation) == (title, line, ())


async def test_a_slide_that_is_too_large_shows_a_smaller_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosaics, "TILES", 4)
    gallery = Gallery(tmp_path)
    kind = ["ORIGINAL", "PRIMARY", "VOLUME"]
    small = slide(grey(50, 60, 70, 80), 200, 200, ("1.1", "1.1.1", "1.1.1.1"), ImageType=kind)
    large = slide(grey(*range(9)), 24, 24, ("1.1", "1.1.1", "1.1.1.2"), ImageType=kind)
    resource = await gallery.add(small, large)
    assert (await gallery.thumbnail(resource)).max() >= 50
    assert (await gallery.thumbnail(Resource("1.1"))).max() >= 50
    assert np.all(await gallery.thumbnail(replace(resource, frames=(9, 1))) == 8)
    alone = Gallery(tmp_path)
    with pytest.raises(NotDrawable):
        await alone.thumbnail(await alone.add(large))


async def test_what_is_refused(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    with pytest.raises(NotFound):
        await gallery.thumbnail(Resource("1.7"))
    resource = await gallery.add(image(grey(1)))
    with pytest.raises(NotAcceptable):
        await gallery.body(resource, "application/pdf", view=View.THUMBNAIL)
