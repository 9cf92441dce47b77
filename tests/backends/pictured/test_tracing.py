"""Waveforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.render.special import Traced
from tests.backends.pictured.gallery import Gallery, channel, group, waveform

BEATS = np.zeros((500, 2), np.int16)
BEATS[::100] = 200


async def test_curves(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(waveform(group(BEATS, [channel("I"), channel("II")]), group(BEATS, [channel("V1"), channel("V2")])))
    shown = await gallery.picture(resource)
    assert shown.shape[2] == 3
    assert (shown.sum(axis=2) < 100).sum() > 1000  # ink
    (work,) = gallery.pool.ran
    assert isinstance(work, Traced)
    assert work.bulk == ("54000100/0/54001010", "54000100/1/54001010")


async def test_a_viewport(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(waveform(group(BEATS, [channel("I"), channel("II")])))
    assert max((await gallery.picture(resource, Rendering(Viewport(300, 300)))).shape) == 300


async def test_the_padding_value_is_fetched(tmp_path: Path) -> None:
    padded = group(BEATS, [channel("I"), channel("II")])
    padded.add_new(0x5400100A, "OW", b"\xc8\0")
    gallery = Gallery(tmp_path)
    await gallery.picture(await gallery.add(waveform(padded)))
    (work,) = gallery.pool.ran
    assert isinstance(work, Traced)
    assert work.bulk == ("54000100/0/54001010", "54000100/0/5400100A")


async def test_lines_are_sharp_unless_said_otherwise(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(waveform(group(BEATS, [channel("I"), channel("II")])))
    for accept, media in (("*/*", "image/png"), ("image/*", "image/png"), ("image/jpeg", "image/jpeg")):
        body = await gallery.body(resource, accept)
        assert body.media_type == media
        await body.aclose()
