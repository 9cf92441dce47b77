from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.backends.notifying import rows
from gateway.backends.notifying.events import Target, webhook_key
from gateway.backends.notifying.notified import Notified
from gateway.backends.notifying.pubsub import SCOPE
from gateway.backends.pictured.pictured import Pictured
from gateway.backends.upstream.credentials import Nobody
from gateway.backends.upstream.google import Google
from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.importing import import_files
from gateway.opening import Opening
from gateway.opening_notifications import FOLDER, notifications_of, targets_of
from gateway.sections.stores import Store
from gateway.streams import Budget, IntakeLimits
from tests.backends.made import dicom, store

TOPIC = "projects/p/topics/dicom"
HOOK = "https://hooks.example/dicom"
NAME = "projects/local/locations/local/datasets/default/dicomStores/default"


def settings(data: Path, *notify: dict[str, Any], **said: Any) -> Settings:
    return Settings(data=data, stores={"default": {"notify": notify}}, notifications=said)


def test_a_store_tells_whom_it_names() -> None:
    said = Store(notify=({"webhook": HOOK}, {"pubsub_topic": TOPIC, "send_for_bulk_import": True}))
    assert targets_of(said) == (Target(webhook_key(HOOK)), Target(TOPIC, bulk=True))
    assert targets_of(Store()) == ()


def test_pubsub_is_googles_unless_there_is_an_emulator(tmp_path: Path) -> None:
    real = notifications_of(settings(tmp_path), {})
    assert isinstance(real._credentials, Google) and real._credentials._asks_for == SCOPE
    assert real._pubsub == "https://pubsub.googleapis.com"
    emulated = notifications_of(settings(tmp_path), {"PUBSUB_EMULATOR_HOST": "localhost:8085"})
    assert isinstance(emulated._credentials, Nobody) and emulated._pubsub == "http://localhost:8085"
    assert notifications_of(settings(tmp_path, pubsub_url="http://own.example"), {})._pubsub == "http://own.example"


def test_limits_come_from_the_settings(tmp_path: Path) -> None:
    made = notifications_of(settings(tmp_path, {"webhook": HOOK, "in_flight": 4}, keep_days=2, attempts=3, waiting=5, timeout=7), {})
    assert (made._pace.keep, made._pace.attempts, made.journal._bound, made._seconds) == (172_800.0, 3, 5, 7)
    assert made._webhooks[webhook_key(HOOK)].in_flight == 4


def test_an_authority_that_is_none_is_said_at_start(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"stores.default.notify: .*none.pem"):
        notifications_of(settings(tmp_path, {"webhook": HOOK, "authority": str(tmp_path / "none.pem")}), {})


async def test_a_store_that_tells_nobody_pays_nothing(tmp_path: Path) -> None:
    opening = Opening(Settings(data=tmp_path))
    backend = (await opening.catalog()).get("default")
    assert isinstance(backend, Pictured)
    await store(backend, dicom())
    await opening.aclose()
    assert not (tmp_path / FOLDER).exists()


async def test_one_that_tells_somebody_writes_it_down(tmp_path: Path) -> None:
    opening = Opening(settings(tmp_path, {"webhook": HOOK}))
    backend = (await opening.catalog()).get("default")
    assert isinstance(backend, Notified)
    await store(backend, dicom())
    await opening.aclose()
    again = notifications_of(settings(tmp_path, {"webhook": HOOK}), {})
    (letter,) = await again.journal.outbox.read(rows.letters)
    assert letter.message.store == NAME and letter.message.target == webhook_key(HOOK)
    await again.aclose()


async def test_an_import_from_disk_is_an_import(tmp_path: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(dicom())
    opening = Opening(settings(tmp_path / "data", {"webhook": HOOK}, {"pubsub_topic": TOPIC, "send_for_bulk_import": True}))
    backend = (await opening.catalog()).get("default")
    await import_files(backend, [tmp_path / "one.dcm"], IntakeLimits(), Budget(1 << 20), lambda count: None)
    (letter,) = await opening.notifications.journal.outbox.read(rows.letters)
    assert (letter.message.target, letter.message.action) == (TOPIC, "ImportDicomData")
    await opening.aclose()
