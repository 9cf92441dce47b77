"""Levels of a slide."""

from __future__ import annotations

from pathlib import Path

from gateway.backends.pictured.slides import beside, is_slide, smallest
from gateway.dicomweb.resources import Resource
from tests.backends.pictured.gallery import Gallery, grey, image, slide

LEVELS = {
    "1": (["ORIGINAL", "PRIMARY", "VOLUME"], 800),
    "2": (["DERIVED", "PRIMARY", "VOLUME"], 200),
    "3": (["DERIVED", "PRIMARY", "VOLUME"], 16),
}
LABEL = {"4": (["ORIGINAL", "PRIMARY", "LABEL"], 300)}
OTHERS = {"5": (["ORIGINAL", "PRIMARY", "OVERVIEW"], 400), "6": (["DERIVED", "PRIMARY", "THUMBNAIL"], 300)}


def level(number: str, kind: list[str], side: int) -> bytes:
    return slide(grey(1, 2, 3, 4), side, side, ("1.1", "1.1.1", f"1.1.1.{number}"), ImageType=kind)


async def order(folder: Path, levels: dict[str, tuple[list[str], int]]) -> str:
    gallery = Gallery(folder)
    resource = await gallery.add(*(level(number, *one) for number, one in levels.items()))
    found = await beside(gallery.studio, resource)
    return "".join((one.instance or "")[-1] for one in found)


async def test_small_levels_first_but_not_too_small(tmp_path: Path) -> None:
    assert await order(tmp_path, LEVELS) == "213"


async def test_the_label_last_a_thumbnail_first(tmp_path: Path) -> None:
    assert await order(tmp_path, LEVELS | LABEL) == "2134"
    assert await order(tmp_path, LEVELS | LABEL | OTHERS) == "652134"
    assert await order(tmp_path, LABEL) == "4"


async def test_only_slides(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(level("1", *LEVELS["1"]), image(grey(1), ("1.1", "1.1.1", "1.1.1.9")))
    every = await gallery.sources.listed(Resource(resource.study))
    assert sorted(is_slide(one) for one in every) == [False, True]
    assert len(await smallest(gallery.studio, every)) == 2
    assert len(await beside(gallery.studio, resource)) == 1
