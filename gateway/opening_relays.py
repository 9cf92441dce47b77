"""Settings -> relays: projects that are bound to the real Cloud Healthcare API."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from urllib.parse import quote

from pydantic import ByteSize

from gateway.backends.base import Backend
from gateway.backends.cached.generations import Generations
from gateway.backends.leases import Leases
from gateway.backends.relays import Bound, Relays
from gateway.backends.upstream.area import Area
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.relaying import Relaying
from gateway.config import Settings
from gateway.healthcare.names import StoreName
from gateway.opening import Opening
from gateway.opening_origins import client_of
from gateway.sections.base import MIB
from gateway.sections.google import Relay
from gateway.sections.stores import Store


async def relays(opening: Opening, settings: Settings) -> Relays | None:
    """All relays of the settings, None where there are none; the caller calls `aclose`.

    :param opening: makes what their DICOM stores need.
    :raises StoreUnavailable: when a certificate or a key of one cannot be used.
    """
    found = {
        Bound(relay.project, relay.location, relay.dataset): await asyncio.to_thread(_relay, opening, settings, name, relay)
        for name, relay in settings.healthcare.relays.items()
    }
    return Relays(found) if found else None


def _relay(opening: Opening, settings: Settings, name: str, relay: Relay) -> Relaying:
    """Blocks: reads certificates, makes a folder."""
    root = settings.data / "_relays" / name
    shown = f"healthcare.relays.{name}"
    client = client_of(shown, _store(relay, relay.url, root))
    stamps, area = Generations(root / "generations"), Area(root / "area", MIB)

    def changed(study: str | None) -> None:
        if study is None:
            stamps.renew()
            area.renew()
        else:
            stamps.bump(shown, study)
            area.changed(study)

    opened = partial(_opened, opening, shown, relay, root, client, stamps)
    return Relaying(client, Leases(opened, relay.stores), changed, idle=relay.origin.idle_timeout)


async def _opened(opening: Opening, shown: str, relay: Relay, root: Path, client: Client, stamps: Generations, name: StoreName) -> Backend:
    path = f"/v1/{quote(str(name))}/dicomWeb"
    return await opening.relayed(shown, _store(relay, relay.url + path, root), client.below(path), stamps)


def _store(relay: Relay, url: str, root: Path) -> Store:
    """The relay as settings of a store. Stores share one folder: files in it have no names, and stamps are moved for all."""
    share = max(MIB, relay.origin.area_bytes // relay.stores)
    origin = relay.origin.model_copy(update={"area_bytes": ByteSize(share)})
    return Store(backend="upstream", url=url, profile="google", root=root, cache=relay.cache, credentials=relay.credentials, origin=origin)
