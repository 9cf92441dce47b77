"""What is drawn as a body, and frames as input."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gateway.backends.base import Retrieve, View
from gateway.backends.pictured.rendering import rendered
from gateway.backends.pictured.studio import TOGETHER, Studio, picture
from gateway.dicomweb.media import parse_accept
from gateway.errors import NotFound
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool
from gateway.pixels.work import NotDrawable, Result
from tests.backends.made import read
from tests.backends.pictured.gallery import Gallery, channel, document, grey, group, image, slide, state, waveform
from tests.backends.pictured.picturing import descriptors


def in_memory_file(data: bytes) -> Result:
    descriptor = os.memfd_create("test")
    os.write(descriptor, data)
    return Result({}, descriptor=descriptor, length=len(data))


@pytest.mark.parametrize("make", [lambda data: Result({}, data), in_memory_file])
async def test_all_of_it_and_ranges(make: type[Result]) -> None:
    body = picture("image/png", make(b"0123456789"), ["a warning"])  # type: ignore[arg-type]  # either of the two above
    assert (body.media_type, body.length, body.served.warnings) == ("image/png", 10, ("a warning",))
    assert await read(body) == b"0123456789"
    body = picture("image/png", make(b"0123456789"))  # type: ignore[arg-type]  # likewise
    assert body.select is not None
    assert await read(body.select(3, 7)) == b"3456"


async def test_what_nobody_reads_is_closed() -> None:
    before = descriptors()
    body = picture("image/png", in_memory_file(b"0123456789"))
    assert descriptors() > before
    await body.aclose()
    del body
    assert descriptors() == before


def test_nothing_is_no_picture() -> None:
    with pytest.raises(NotDrawable):
        picture("image/png", Result({}, b""))


@pytest.mark.parametrize("together", [TOGETHER, 0])
async def test_frames_in_the_order_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr("gateway.backends.pictured.studio.TOGETHER", together)
    gallery = Gallery(tmp_path)
    resource = await gallery.add(image(grey(1, 2, 3, size=2)))
    async with gallery.studio.frames(await gallery.sources.header(resource), resource, [3, 1]) as frames:
        assert [b"".join(map(bytes, one)) for one in frames] == [b"\3" * 4, b"\1" * 4]  # type: ignore[arg-type]  # bytes all of them
    with pytest.raises(NotFound):
        async with gallery.studio.frames(await gallery.sources.header(resource), resource, [4]):
            pass


async def test_a_value_that_is_missing_is_empty(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    assert await gallery.studio.bulk(await gallery.add(image(grey(1))), ["00420011"]) == [[b""]]


async def test_work_of_every_kind_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The other tests draw in threads; what travels to a process and back is the same for all of them."""
    gallery = Gallery(tmp_path)
    heart = waveform(group(np.zeros((50, 1), np.int16), [channel("I")]), uids=("1.1", "1.1.2", "1.1.2.1"))
    tissue = slide(grey(1, 2, 3, 4), 16, 16, ("1.1", "1.1.3", "1.1.3.1"))
    several = await gallery.add(image(grey(1, 2)))
    files = (heart, document(b"%PDF", uids=("1.1", "1.1.4", "1.1.4.1")), tissue, state(several))
    asked = [several, *[await gallery.add(file) for file in files]]
    pool = Pool(processes=1)
    studio = Studio(gallery.sources, pool, PixelLimits())
    try:
        for resource in asked:
            for view, accept in ((View.RENDERED, "image/gif"), (View.RENDERED, "image/png"), (View.THUMBNAIL, "image/jpeg")):
                if resource.series != "1.1.4" or view is View.THUMBNAIL:
                    wanted = Retrieve(resource, view, parse_accept([accept]))
                    body = await rendered(studio.sources, studio.pool, studio.limits, wanted)
                    assert body.media_type == accept
                    assert len(await read(body)) > 50
    finally:
        await pool.aclose()
