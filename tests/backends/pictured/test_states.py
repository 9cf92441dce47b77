"""Presentation states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.errors import BadRequest, NotFound
from gateway.pixels.work import NotDrawable
from tests.backends.pictured.gallery import Gallery, grey, image, item, segmentation, state

INVERSE: dict[str, Any] = {"PresentationLUTShape": "INVERSE", "SoftcopyVOILUTSequence": [item(WindowCenter=128, WindowWidth=256)]}
BY_STATE = Rendering(presentation=("1.1.9", "1.1.9.1"))


async def test_a_state_shows_the_image_that_it_refers_to(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(55)))
    assert np.all(await gallery.picture(await gallery.add(state(resource, **INVERSE))) == 200)


async def test_an_image_is_shown_by_a_state(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(55, 155)))
    await gallery.add(state(resource, **INVERSE))
    assert np.all(await gallery.picture(resource) == 55)
    assert np.all(await gallery.picture(resource, BY_STATE) == 200)
    assert np.all(await gallery.picture(replace(resource, frames=(2,)), BY_STATE) == 100)
    assert (await gallery.picture(resource, replace(BY_STATE, viewport=Viewport(20, 30)))).shape == (20, 20)


async def test_tables_of_a_state_come_from_the_state(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(10)))
    table = item(LUTDescriptor=[256, 0, 8], LUTData=bytes([7] * 256))
    table["LUTData"].VR = "OW"
    shown = await gallery.picture(await gallery.add(state(resource, SoftcopyVOILUTSequence=[item(VOILUTSequence=[table])])))
    assert np.all(shown == 7)


async def test_images_that_are_not_here(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(state(replace(await gallery.add(image(grey(1))), instance="1.1.1.77")))
    with pytest.raises(NotDrawable, match="not here"):
        await gallery.picture(resource)


async def test_what_is_refused(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(1)))
    with pytest.raises(NotFound):
        await gallery.picture(resource, BY_STATE)
    with pytest.raises(BadRequest, match="none that can be applied"):
        await gallery.picture(resource, Rendering(presentation=("1.1.1", "1.1.1.1")))
    await gallery.add(state(replace(resource, instance="1.1.1.77")))
    with pytest.raises(BadRequest, match="does not refer"):
        await gallery.picture(resource, BY_STATE)
    segments = await gallery.add(segmentation([(1, 0.0)], np.ones((1, 8, 8), np.uint8), ("1.1", "1.1.5", "1.1.5.1")))
    with pytest.raises(NotDrawable, match="no image"):
        await gallery.picture(await gallery.add(state(segments)))
