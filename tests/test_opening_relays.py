"""Settings -> relays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.healthcare.names import dataset_name, location_name, store_name
from gateway.opening import Opening
from gateway.opening_relays import relays
from tests.origins.google import google


def settings(folder: Path, **relay: object) -> Settings:
    return Settings(data=folder, healthcare={"relays": {"cloud": {"project": "p", "credentials": {"kind": "none"}} | relay}})


async def test_without_any_there_are_none(tmp_path: Path) -> None:
    chosen = Settings(data=tmp_path)
    opening = await asyncio.to_thread(Opening, chosen)
    assert await relays(opening, chosen) is None
    await opening.aclose()
    assert not (tmp_path / "_relays").exists()


async def test_stores_are_opened_below_the_origin_with_one_folder(tmp_path: Path) -> None:
    async with google() as fake:
        chosen = settings(tmp_path, url=fake.rest.root, stores=1)
        opening = await asyncio.to_thread(Opening, chosen)
        found = await relays(opening, chosen)
        assert found is not None
        relay = found.find(["projects", "p"])
        assert relay is not None and (relay.root, relay.own) == (fake.rest.root, True)
        for store in ("a", "ä.b"):
            name = store_name(dataset_name(location_name("p", "us-central1"), "d"), store)
            async with relay.store(name) as backend:
                assert (await backend.check()).ready
        assert sorted(path.name for path in (tmp_path / "_relays" / "cloud").iterdir()) == ["area", "generations"]
        await found.aclose()
        await opening.aclose()


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    chosen = settings(tmp_path, credentials={"kind": "none", "authority": tmp_path / "none.pem"})
    opening = await asyncio.to_thread(Opening, chosen)
    with pytest.raises(StoreUnavailable, match=r"healthcare\.relays\.cloud"):
        await relays(opening, chosen)
    await opening.aclose()
