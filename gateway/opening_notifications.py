"""Settings -> notifications: who is told of which store, and how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ssl import SSLContext

from gateway.backends.notifying.delivering import Pace
from gateway.backends.notifying.events import Target, webhook_key
from gateway.backends.notifying.notifications import Notifications
from gateway.backends.notifying.pubsub import SCOPE
from gateway.backends.notifying.webhooks import Webhook
from gateway.backends.upstream.credentials import Nobody
from gateway.backends.upstream.google import Google
from gateway.backends.upstream.tls import Unusable, context
from gateway.config import Settings
from gateway.errors import StoreUnavailable
from gateway.sections.notifications import Notify
from gateway.sections.stores import Store

EMULATOR = "PUBSUB_EMULATOR_HOST"
"""The variable by which Google's clients find an emulator of Pub/Sub: host and port."""

FOLDER = "_notifications"
"""Name of the outbox's folder below the data; no store can be called that."""

DAY = 86_400.0


def notifications_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> Notifications:
    """What tells others of the stores; it opens nothing yet. Blocks, where a webhook has an authority of its own.

    :raises StoreUnavailable: when the file of one cannot be used.
    """
    said = settings.notifications
    emulator = environment.get(EMULATOR)
    return Notifications(
        settings.data / FOLDER,
        webhooks=_webhooks(settings),
        credentials=Nobody() if emulator else Google(said.pubsub_key_file, asks_for=SCOPE, store="notifications"),
        pubsub=f"http://{emulator}" if emulator else said.pubsub_url,
        waiting=said.waiting,
        seconds=said.timeout,
        pace=Pace(attempts=said.attempts, keep=said.keep_days * DAY),
    )


def targets_of(store: Store) -> tuple[Target, ...]:
    """Who is told of a store of the settings."""
    return tuple(Target(one.pubsub_topic or webhook_key(one.webhook or ""), one.send_for_bulk_import) for one in store.notify)


def _webhooks(settings: Settings) -> dict[str, Webhook]:
    found: dict[str, Webhook] = {}
    for name, store in settings.stores.items():
        for one in store.notify:
            if one.webhook is not None:
                found[webhook_key(one.webhook)] = Webhook(one.webhook, one.secret_file, one.in_flight, _trust(name, one))
    return found


def _trust(name: str, one: Notify) -> SSLContext | None:
    try:
        return context(authority=one.authority)
    except Unusable as error:
        raise StoreUnavailable(f"stores.{name}.notify: {error}") from None
