"""Which backend stands behind which name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import Backend
from gateway.backends.cached.cached import Cached
from gateway.backends.caller import CALLER, Caller
from gateway.backends.federation import Federation
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured.pictured import Pictured
from gateway.backends.spool.spooled import Spooled
from gateway.backends.upstream.origin import Origin
from gateway.config import Settings
from gateway.errors import NotFound, StoreUnavailable
from gateway.opening import Opening
from gateway.pixels.pool import Pool

PACS = {"backend": "upstream", "url": "http://127.0.0.1:9/dicom-web"}


class Stores:
    """What `Opening` makes of settings."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._opened: list[Opening] = []

    def opening(self, **stores: Mapping[str, Any]) -> Opening:
        self._opened.append(Opening(Settings(data=self._data, stores=stores)))
        return self._opened[-1]

    async def one(self, name: str, **stores: Mapping[str, Any]) -> Backend:
        return await self.opening(**stores).store(name)

    async def aclose(self) -> None:
        for opening in self._opened:
            await opening.aclose()


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path)
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, LocalStore),
        ({"backend": "memory"}, MemoryBackend),
        (PACS, Cached),
        (PACS | {"cache": False}, Origin),
        (PACS | {"delivery": "spool"}, Spooled),
        ({"backend": "federation", "members": ["default"]}, Federation),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
async def test_each_kind_of_store_has_its_backend(stores: Stores, settings: dict[str, Any], kind: type) -> None:
    made = await stores.one("a", a=settings)
    assert type(made._inner if isinstance(made, Pictured) else made) is kind
    assert isinstance(made, Pictured) is (kind is not Federation), "the members of a federation make pictures"


async def inner(stores: Stores, **settings: Any) -> Cached:
    """The cache in front of an origin."""
    made = await stores.one("a", a=PACS | settings)
    assert isinstance(made, Pictured) and isinstance(made._inner, Cached)
    return made._inner


async def made_of(stores: Stores, **settings: Any) -> Cached:
    """The cache in front of what is made of pixels."""
    made = await stores.one("a", a=settings)
    assert isinstance(made, Pictured)
    return made._made


@pytest.mark.parametrize("settings", [{}, PACS, PACS | {"delivery": "spool"}, PACS | {"cache": False}, {"backend": "memory"}])
async def test_what_is_made_of_pixels_is_kept_apart_from_what_is_not(stores: Stores, settings: dict[str, Any], tmp_path: Path) -> None:
    made = await made_of(stores, **settings)
    assert made._scope().startswith("pixels ") and set(made._kinds.values()) == {"rendered", "transcoded"}
    lasting = settings != {"backend": "memory"}
    assert (tmp_path / "a" / "generations").exists() is lasting
    assert (made._disk is not None) is (lasting and settings.get("cache", True))
    assert bool(made._memory.bound) is settings.get("cache", True)


async def test_pictures_are_kept_as_long_as_frames(stores: Stores) -> None:
    made, passing = await made_of(stores), await made_of(stores, **PACS, credentials={"kind": "pass_through"})
    assert made._ttl["rendered"] == made._ttl["transcoded"] == made._ttl["frames"] > made._ttl["search"]
    assert passing._ttl["rendered"] == passing._ttl["search"], "who may see it, only the origin knows"


async def test_a_store_may_have_the_name_of_the_cache(stores: Stores, tmp_path: Path) -> None:
    opening = stores.opening(cache={})
    assert isinstance(await opening.store("cache"), Pictured)
    assert (tmp_path / "cache" / "blobs").is_dir() and (tmp_path / "_cache").is_dir()


async def test_a_store_that_others_need_is_opened_once_and_closed_after_them(stores: Stores) -> None:
    opening = stores.opening(both={"backend": "federation", "members": ["default", "pacs"]}, pacs=PACS)
    catalog = await opening.catalog()
    assert {name for name, _ in catalog} == {"default", "both", "pacs"}
    order = [type(one._inner if isinstance(one, Pictured) else one) for one in catalog._closing]
    assert order.index(Federation) < order.index(LocalStore) and order.index(Federation) < order.index(Cached)
    assert order.count(LocalStore) == 1
    assert order[-1] is Pool, "the last that may be needed"
    assert await opening.store("pacs") is catalog.get("pacs")


async def test_a_store_that_is_not_there_is_named_with_those_that_are(stores: Stores) -> None:
    with pytest.raises(NotFound, match="'other'; the settings have default"):
        await stores.one("other")


async def test_when_one_store_cannot_be_opened_the_others_are_closed(tmp_path: Path) -> None:
    (tmp_path / "second").write_text("a file where a folder should be")
    opening = Opening(Settings(data=tmp_path, stores={"second": {}}))
    with pytest.raises((OSError, StoreUnavailable)):
        await opening.catalog()
    assert list((tmp_path / "default" / "incoming").iterdir()) == [], "a store that is open has a folder of its own there"


async def _scope(stores: Stores, **settings: Any) -> str:
    return (await inner(stores, **settings))._scope()


async def test_what_is_kept_is_for_the_same_origin_asked_in_the_same_way(stores: Stores) -> None:
    plain = await _scope(stores)
    assert await _scope(stores, origin={"tries": 1}) == plain
    others: list[dict[str, Any]] = [
        {"url": "http://127.0.0.1:9/other"},
        {"profile": "orthanc"},
        {"overrides": {"frames": "cut"}},
        {"credentials": {"kind": "basic", "user": "a", "secret_file": "a"}},
        {"credentials": {"kind": "basic", "user": "b", "secret_file": "a"}},
        {"default_transfer_syntax": "stored"},
    ]
    assert len({plain, *[await _scope(stores, **one) for one in others]}) == len(others) + 1


async def test_what_only_the_origin_may_show_is_believed_no_longer_than_a_search(stores: Stores) -> None:
    for kind, longer in (("none", True), ("pass_through", False)):
        made = await inner(stores, credentials={"kind": kind})
        assert (made._ttl["frames"] > made._ttl["search"]) is longer
    token = CALLER.set(Caller("Bearer one"))
    one = await _scope(stores, credentials={"kind": "pass_through"})
    CALLER.reset(token)
    assert one != await _scope(stores, credentials={"kind": "pass_through"})


async def test_a_disk_that_refuses_the_cache_keeps_no_gateway_from_starting(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.opening.DiskTier", refuse)
    assert (await inner(stores))._disk is None


async def test_a_folder_of_somebody_else_is_no_cache(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "thesis.txt").write_text("not to be lost")
    with pytest.raises(StoreUnavailable, match="not a cache of this gateway"):
        await stores.one("a", a=PACS)
    assert (tmp_path / "cache" / "thesis.txt").exists()
