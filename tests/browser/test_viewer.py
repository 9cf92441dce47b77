"""The viewer in Chromium: each kind of study is seen, nothing fails and nothing is complained of, at the gateway and at another origin."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import numpy as np
import pytest

from tests.browser import studies
from tests.browser.cdp import Page, changed, lit
from tests.browser.conftest import Site, keep, wrong

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

CANVAS, SLIDE = ".cornerstone-canvas", ".ol-viewport canvas"
PLAY = "[data-cy=cine-player-play-pause]"


@pytest.fixture(params=["at the gateway", "at another origin"])
def base(request: pytest.FixtureRequest, site: Site) -> str:
    return site.viewer if request.param == "at the gateway" else site.elsewhere


async def opened(page: Page, site: Site, name: str, base: str, mode: str = "viewer") -> None:
    await page.goto(site.at(name, mode=mode, base=base))
    await page.quiet()


async def loaded(page: Page, words: str) -> None:
    """Opens over the slices what is listed by these words."""
    await page.shown(CANVAS)
    await page.click(*await page.place(words), times=2)
    await page.says("Do you want to open this")
    await page.click(*await page.place("Yes"))
    await page.quiet()


def colourful(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    """How much of a picture is not grey."""
    return float((np.ptp(picture.astype(int), axis=2) > 30).mean())


async def test_the_study_list_is_searched_and_shows_series(page: Page, site: Site, base: str) -> None:
    await page.goto(base)
    for study in site.studies.values():
        await page.says(study.words)
    await page.click(*await page.place("Phantom CT"))
    await page.until("[...document.images].some(one => one.naturalWidth > 50 && one.src.startsWith('blob:'))")
    keep("list", await page.picture())
    await page.goto(base + "?patientName=perspex")
    await page.says("Phantom MR")
    assert page.asked_for("/studies?", "PatientName=")
    await page.goto(base + "?patientName=nobody")
    await page.until("!document.body.innerText.includes('Phantom MR') && document.body.innerText.includes('Study List')")


async def test_twenty_slices_are_scrolled(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "mr", base)
    first = await page.shown(CANVAS)
    x, y, width, height = await page.box(CANVAS)
    for number in range(1, 20):
        await page.wheel(x + width / 2, y + height / 2, 100)
        await page.says(f"({number + 1}/20)")
    await page.quiet()
    assert changed(first, await page.shown(CANVAS)) > 0.01
    keep("mr", await page.picture())
    assert len({re.sub(r"\?.*", "", one) for one in page.asked_for("GET", "/frames/1")}) == 20


async def test_a_segmentation_lies_over_its_slices(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "ct", base)
    plain = await page.shown(CANVAS)
    assert colourful(plain) < 0.02
    await loaded(page, "Organs")
    x, y, width, height = await page.box(CANVAS)
    await page.wheel(x + width / 2, y + height / 2, 100)
    await until_colourful(page)
    keep("seg", await page.picture())


async def test_contours_lie_over_their_slices(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "ct", base)
    await loaded(page, "Structures")
    await until_colourful(page, least=0.002)
    keep("rtstruct", await page.picture())


async def until_colourful(page: Page, least: float = 0.01) -> None:
    end = time.monotonic() + 30
    while (found := colourful(await page.shown(CANVAS))) < least:
        assert time.monotonic() < end, f"only {found:.4f} of the slice has a colour"
        await asyncio.sleep(0.3)


async def test_thirty_frames_are_played(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "us", base)
    await page.shown(CANVAS)
    x, y, width, height = await page.box(PLAY)
    await page.click(x + width / 2, y + height / 2)
    seen: set[str] = set()
    end = time.monotonic() + 60
    while len(seen) < 10:
        assert time.monotonic() < end, seen
        seen |= set(re.findall(r"\((\d+)/30\)", await page.text()))
        await asyncio.sleep(0.03)
    keep("us", await page.picture())
    assert lit(await page.shown(CANVAS)) > 0.1
    await page.click(x + width / 2, y + height / 2)


async def test_a_pdf_is_read(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "pdf", base)
    assert page.asked_for("/rendered") or base != site.viewer  # a document of another origin asks in a process of its own
    x, y, width, height = await page.box("object")
    end = time.monotonic() + 30
    while (light := (await page.picture((x, y, width, height)) > 200).all(axis=2).mean()) < 0.3:
        assert time.monotonic() < end, f"{light:.3f} of the page is paper"
        await asyncio.sleep(0.3)
    keep("pdf", await page.picture())


async def test_an_ecg_is_drawn(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "ecg", base)
    found = await page.shown(CANVAS)
    assert ((found[:, :, 0] > 150) & (found[:, :, 1] > 150)).mean() > 0.005  # the traces and their names, on a dark red grid
    keep("ecg", await page.picture())


async def test_a_video_is_played(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "video", base)
    assert page.asked_for("/rendered")
    assert not page.asked_for("/frames/")
    await page.shown(CANVAS)
    assert colourful(await page.shown(CANVAS)) > 0.3
    await page.key("c", 67, "c")  # shows the player
    x, y, width, height = await page.box(PLAY)
    before = await page.shown(CANVAS)
    await page.click(x + width / 2, y + height / 2)
    end = time.monotonic() + 30
    while changed(before, await page.shown(CANVAS)) < 0.02:
        assert time.monotonic() < end, "nothing moves"
        await asyncio.sleep(0.2)


async def test_a_report_is_read(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "sr", base)
    for words in ("Diagnostic Imaging Report", "A sphere of water, 10 cm", "Perspex is well"):
        await page.says(words)


async def test_a_slide_is_shown_in_tiles_and_closer_in_more(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "wsi", base, mode="microscopy")
    first = await page.shown(SLIDE)
    assert colourful(first) > 0.3
    before = set(page.asked_for("/frames/"))
    assert before
    x, y, width, height = await page.box(SLIDE)
    for _ in range(4):
        await page.wheel(x + width / 2, y + height / 2, -300)
        await asyncio.sleep(0.4)
    await page.quiet()
    assert set(page.asked_for("/frames/")) > before
    assert changed(first, await page.shown(SLIDE)) > 0.1
    keep("wsi", await page.picture())


async def test_a_file_is_uploaded(page: Page, site: Site, base: str, tmp_path: Path) -> None:
    words, data = studies.snapshot()
    (tmp_path / "picture.dcm").write_bytes(data)
    await page.goto(base)
    await page.says("Phantom MR")
    while not await page.evaluate("!!document.querySelector('input[type=file]')"):
        await page.click(*await page.place("Upload"))
        await asyncio.sleep(1)
    await page.choose_files("input[type=file]", [tmp_path / "picture.dcm"])
    end = time.monotonic() + 30
    while not page.asked_for("POST", "/studies"):
        assert time.monotonic() < end, await page.text()
        await asyncio.sleep(0.2)
    await page.quiet()
    assert (200, page.asked_for("POST", "/studies")[0]) in page.answers
    await page.goto(base)
    await page.says(words)


async def test_series_have_thumbnails(page: Page, site: Site, base: str) -> None:
    await opened(page, site, "mr", base)
    found = await page.until(
        "[...document.images].filter(one => one.src.startsWith('blob:')).map(one => [one.naturalWidth, one.naturalHeight])"
    )
    assert found
    assert all(max(size) <= 256 and min(size) > 50 for size in found)
    assert page.asked_for("/thumbnail?viewport=")


async def test_real_studies_open(page: Page, site: Site, base: str) -> None:
    """Those of DICOM_CORPUS, where it is set; without it the phantoms once more, one after the other in one tab."""
    real = {name: mode for name, mode in studies.COLLECTED.items() if name in site.studies}
    for name, mode in (real or dict.fromkeys(("mr", "pdf", "us"), "viewer")).items():
        await opened(page, site, name, base, mode)
        await page.until("!!document.querySelector('canvas, object, video, [data-cy=studyBrowser-panel]')")
        assert wrong(page) == [], name


async def test_nobody_else_is_asked(page: Page, site: Site) -> None:
    """What the page loads and asks is the gateway's, with the list, a study and a slide."""
    for address in (site.viewer, site.at("mr"), site.at("wsi", mode="microscopy")):
        await page.goto(address)
        await page.quiet()
    assert {one.split("/")[2] for one in page.requests.values()} == {site.root.removeprefix("http://")}
