"""What is shown of instances that lie in a real Orthanc is what is shown of them when they lie here, byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.backends.base import View
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.dicomweb.resources import Resource
from tests.backends.kinds import making
from tests.backends.made import parts, read
from tests.backends.pictured.gallery import CT, Gallery, channel, document, grey, group, image, segmentation, slide, state, video, waveform

MASKS = np.ones((2, 8, 8), np.uint8)
MASKS[:, :4] = 0
FILES = {
    "frames": image(grey(10, 20, 30), ("1.1", "1.1.1", "1.1.1.1"), sop_class=CT, modality="CT", InstanceNumber="1", SeriesNumber="1"),
    "document": document(b"%PDF-1.4 odd", uids=("1.1", "1.1.2", "1.1.2.1"), InstanceNumber="1", SeriesNumber="2"),
    "waveform": waveform(group(np.zeros((99, 2), np.int16), [channel("I"), channel("II")]), uids=("1.1", "1.1.3", "1.1.3.1")),
    "video": video(b"\0\0\0\x20ftypisom" + bytes(5000), ("1.1", "1.1.4", "1.1.4.1")),
    "segments": segmentation([(1, 0.0), (2, 0.0)], MASKS, ("1.1", "1.1.5", "1.1.5.1")),
    "slide": slide(grey(1, 2, 3, 4), 16, 16, ("1.1", "1.1.6", "1.1.6.1")),
    "state": state(Resource("1.1", "1.1.1", "1.1.1.1"), PresentationLUTShape="INVERSE"),
}
BROWSER = "image/png, */*;q=0.8"


@pytest.fixture
async def galleries(tmp_path: Path) -> AsyncIterator[tuple[Gallery, Gallery]]:
    """One over memory, one over Orthanc behind a cache, with the same in them."""
    async with making("cached-orthanc", tmp_path) as make:
        both = Gallery(tmp_path), Gallery(tmp_path, inner=make(OnDuplicate.REPLACE))
        for gallery in both:
            await gallery.add(*FILES.values())
        yield both


async def test_the_same_is_shown(galleries: tuple[Gallery, Gallery]) -> None:
    here, there = galleries
    for name, file in FILES.items():
        resource = await here.add(file)
        for view, accept in ((View.RENDERED, BROWSER), (View.THUMBNAIL, "image/png")):
            ours, theirs = [await gallery.body(resource, accept, view=view) for gallery in galleries]
            assert (ours.media_type, ours.length) == (theirs.media_type, theirs.length), name
            assert await read(ours) == await read(theirs), name
    cine = replace(await here.add(FILES["frames"]))
    assert await read(await here.body(cine, "image/gif")) == await read(await there.body(cine, "image/gif"))


async def test_ranges_of_documents_and_videos(galleries: tuple[Gallery, Gallery]) -> None:
    here, there = galleries
    for name in ("document", "video"):
        resource = await here.add(FILES[name])
        await read(await there.body(resource, "*/*"))
        body = await there.body(resource, "*/*")
        assert body.select is not None
        assert await read(body.select(3, 9)) == (await read(await here.body(resource, "*/*")))[3:9]


async def test_a_whole_study(galleries: tuple[Gallery, Gallery]) -> None:
    ours, theirs = [await parts(await gallery.body(Resource("1.1"), "*/*")) for gallery in galleries]
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == len(FILES)
    small = Rendering(Viewport(32, 32))
    first, second = [await gallery.thumbnail(Resource("1.1"), small) for gallery in galleries]
    assert np.array_equal(first, second)
    assert np.all(first == 20)
