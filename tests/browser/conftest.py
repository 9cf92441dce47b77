"""A gateway with a viewer and a study of each kind, and a Chromium; what no page may do."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from tests.browser import cdp, studies
from tests.browser.cdp import Browser, Page
from tests.browser.elsewhere import elsewhere
from tests.flows.client import Client
from tests.running import Gateway, free_port

ROOT = Path(__file__).parent.parent.parent
VIEWER = Path(os.environ.get("VIEWER", ROOT / "data" / "viewer"))
PICTURES = Path(os.environ["PICTURES"]) if os.environ.get("PICTURES") else None
"""Where pictures of the viewer are put for the README; nowhere without."""

ALLOWED: dict[str, str] = {}
"""What a console may say although nothing is wrong: a pattern, and why."""


class Site:
    """:param root: the gateway. :param elsewhere: the same viewer, served by another origin."""

    def __init__(self, root: str, elsewhere: str) -> None:
        self.root = root
        self.viewer = f"{root}/viewer/"
        self.elsewhere = elsewhere
        self.studies: dict[str, studies.Study] = {}

    def at(self, name: str, *, mode: str = "viewer", base: str | None = None) -> str:
        """The address of a study in the viewer."""
        return f"{base or self.viewer}{mode}?StudyInstanceUIDs={self.studies[name].uid}"


@pytest.fixture(scope="session")
def phantoms() -> dict[str, studies.Study]:
    return studies.everything() | studies.collected(Path(os.environ["DICOM_CORPUS"]) if "DICOM_CORPUS" in os.environ else None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(phantoms: dict[str, studies.Study], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    gateway = Gateway(folder, "--viewer", str(VIEWER), environment={"GATEWAY_SERVER__CORS_ORIGINS": f"http://localhost:{port}"})
    gateway.start()
    try:
        async with elsewhere(VIEWER, gateway.root, port) as other:
            found = Site(gateway.root, other)
            found.studies = phantoms
            for study in phantoms.values():
                status, _ = Client(gateway.url).store(list(study.files))
                assert status == 200, study.words
            yield found
    finally:
        gateway.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with cdp.started() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A tab in which nothing may go wrong."""
    async with browser.page() as opened:
        yield opened
        assert wrong(opened) == []


def keep(name: str, picture: Any) -> None:
    """A picture for the README, where such are wanted."""
    if PICTURES is not None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(PICTURES / f"{name}.jpg", quality=85, optimize=True)


def wrong(page: Page) -> list[str]:
    """What went wrong in a page, without what is allowed."""
    return [f"{count} x {one}" for one, count in page.problems.items() if not any(re.search(pattern, one) for pattern in ALLOWED)]
