"""Which frame of an instance is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.pixels.work import NotDrawable
from tests.backends.pictured.gallery import REPORT, Gallery, grey, image, instance


@pytest.mark.parametrize(
    ("more", "frames", "thumbnail", "shown"),
    [
        ({}, (), False, 1),
        ({"RepresentativeFrameNumber": 4}, (), False, 4),
        ({"RepresentativeFrameNumber": 9}, (), False, 1),
        ({"RepresentativeFrameNumber": 4}, (2,), False, 2),
        ({"RepresentativeFrameNumber": 4}, (), True, 3),
        ({}, (5,), True, 5),
    ],
)
async def test_the_frame_that_stands_for_it(
    tmp_path: Path, more: dict[str, Any], frames: tuple[int, ...], thumbnail: bool, shown: int
) -> None:
    gallery = Gallery(tmp_path)
    resource = replace(await gallery.add(image(grey(1, 2, 3, 4, 5), **more)), frames=frames)
    assert (await gallery.subject(resource, thumbnail=thumbnail)).number() == shown


async def test_what_it_is(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    subject = await gallery.subject(await gallery.add(image(grey(1))))
    assert subject.what == "the image, stored as 1.2.840.10008.1.2.1,"
    report = await gallery.subject(await gallery.add(instance(REPORT, "SR", ("1.1", "1.1.2", "1.1.2.1"))))
    assert report.what == "the nothing"
    with pytest.raises(NotDrawable):
        _ = report.image
