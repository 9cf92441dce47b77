"""What is told: that something was stored or deleted, in the words of the Cloud Healthcare API (DicomNotificationConfig).

A message holds names and UIDs, and nothing else of an instance: whoever wants more asks for it, and has to be allowed to.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from yarl import URL

from gateway.dicomweb.resources import Resource
from gateway.healthcare.times import timestamp

Kind = Literal["webhook", "pubsub"]
"""Of a receiver; the closed set of the label `receiver`."""

STORED, UPDATED = "StoreInstances", "UpdateInstances"
DELETED = {"study": "DeleteStudy", "series": "DeleteSeries", "instance": "DeleteInstance"}
BULK = frozenset({"ImportDicomData"})
"""Actions of which only those hear who ask for it: an import brings millions."""

_ACTION: ContextVar[str | None] = ContextVar("action", default=None)


@contextmanager
def acting(action: str) -> Iterator[None]:
    """What is stored inside is told under the name of this action. Deletions are called by what they delete, whoever does it."""
    token = _ACTION.set(action)
    try:
        yield
    finally:
        _ACTION.reset(token)


def acting_as() -> str | None:
    """The action whose name goes before others."""
    return _ACTION.get()


class Target(NamedTuple):
    """Who is told.

    :param key: ``projects/P/topics/T``, or what stands for a webhook. :param bulk: whether of imports, too.
    """

    key: str
    bulk: bool = False


def webhook_key(url: str) -> str:
    """Stands for a webhook in the outbox and in logs: its path may be a secret."""
    return f"webhook {URL(url).host} {blake2b(url.encode(), digest_size=4).hexdigest()}"


def kind_of(key: str) -> Kind:
    """The kind of receiver that a key stands for."""
    return "pubsub" if key.startswith("projects/") else "webhook"


def topics_of(fields: Mapping[str, Any]) -> tuple[Target, ...]:
    """Who is told, by the resource of a DICOM store; a topic that is named twice once."""
    configs = [fields.get("notificationConfig") or {}, *(fields.get("notificationConfigs") or ())]
    found: dict[str, bool] = {}
    for config in configs:
        if topic := config.get("pubsubTopic"):
            found[topic] = found.get(topic, False) or config.get("sendForBulkImport") is True
    return tuple(Target(topic, bulk) for topic, bulk in found.items())


def hearing(targets: tuple[Target, ...], action: str) -> tuple[str, ...]:
    """The keys of those that hear of an action."""
    return tuple(one.key for one in targets if one.bulk or action not in BULK)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one receiver.

    :param number: names it for ever, and grows in the order in which changes were acknowledged.
    :param store: resource name of the DICOM store. :param changed: seconds since the epoch.
    :param extra: attributes besides those that follow from the rest.
    """

    number: int
    target: str
    store: str
    resource: Resource
    action: str
    changed: float
    extra: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 0

    @property
    def name(self) -> str:
        """Resource name of what was changed; the store's own where that was all of it."""
        return f"{self.store}/dicomWeb{self.resource.path}" if self.resource.study else self.store

    @property
    def attributes(self) -> dict[str, str]:
        """As Google calls them. A version is a number that grows with each change; what a resource does not have is left out."""
        uids = {
            "studyInstanceUID": self.resource.study,
            "seriesInstanceUID": self.resource.series,
            "sopInstanceUID": self.resource.instance,
        }
        return {
            "action": self.action,
            "lastUpdatedTime": format_datetime(datetime.fromtimestamp(self.changed, UTC)),  # RFC 1123, as Google's guide shows it
            "storeName": self.store,
            **{name: uid for name, uid in uids.items() if uid},
            "versionId": str(round(self.changed * 1_000_000)),
            **self.extra,
        }

    def published(self) -> dict[str, Any]:
        """A PubsubMessage to be published."""
        return {"data": b64encode(self.name.encode()).decode(), "attributes": self.attributes}

    def pushed(self) -> dict[str, Any]:
        """The body with which Pub/Sub would push it, for a webhook."""
        return {"message": self.published() | {"messageId": str(self.number), "publishTime": timestamp(self.changed)}}
