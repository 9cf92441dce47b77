"""The status page, and the viewer of a gateway that asks for tokens, in Chromium."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.browser.cdp import Browser, Page
from tests.browser.conftest import VIEWER, Site, keep, wrong
from tests.running import Gateway

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def test_the_page_shows_the_stores_in_light_and_dark(page: Page, site: Site) -> None:
    brightness = {}
    for theme in ("light", "dark"):
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        await page.goto(site.root + "/")
        await page.says("DICOMweb gateway")
        await page.says("files and an index on disk")
        await page.says("Asked for")  # the second look is the page's own
        picture = await page.picture()
        brightness[theme] = picture.mean()
        keep(f"status-{theme}", picture)
    assert brightness["light"] > 200 > 80 > brightness["dark"]
    assert {one.split("?")[0] for one in page.requests.values()} <= {f"GET {site.root}/", f"GET {site.root}/favicon.ico"}


async def test_its_links_lead_somewhere(page: Page, site: Site) -> None:
    await page.goto(site.root + "/")
    links = await page.until("[...document.links].map(one => one.href)")
    assert f"{site.root}/viewer/?datasources=default" in links
    for link in links:
        await page.goto(link)
    await page.quiet()
    assert {status for status, _ in page.answers} <= {200, 204, 206, 304}


def store(url: str, file: bytes) -> None:
    headers = {"Authorization": "Bearer open-sesame", "Content-Type": "application/dicom"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/studies", file, headers), timeout=60) as answer:
        assert answer.status == 200


async def test_a_viewer_of_a_gateway_with_tokens_asks_for_one(browser: Browser, site: Site, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("open-sesame\n")
    gateway = Gateway(tmp_path, "--viewer", str(VIEWER), environment={"GATEWAY_SERVER__TOKEN_FILE": str(tmp_path / "tokens")})
    gateway.start()
    try:
        for study in (site.studies["mr"], site.studies["pdf"]):
            for file in study.files:
                store(gateway.url, file)
        async with browser.page() as page:
            page.reply = "open-sesame"
            await page.goto(f"{gateway.root}/viewer/viewer?StudyInstanceUIDs={site.studies['mr'].uid}")
            await page.shown(".cornerstone-canvas")
            await page.goto(f"{gateway.root}/viewer/viewer?StudyInstanceUIDs={site.studies['pdf'].uid}")
            await page.box("object")
            await page.quiet()
            assert len(page.dialogs) == 1
            assert wrong(page) == []
    finally:
        gateway.stop()
