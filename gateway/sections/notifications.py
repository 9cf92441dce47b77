"""What can be set of notifications: who is told what was stored and deleted, and what happens when nobody listens."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator
from yarl import URL

from gateway.healthcare.resources import TOPIC
from gateway.sections.base import Count, Seconds, Section


class Notify(Section):
    """Somebody who is told what is stored in a store and deleted from it: a webhook or a topic."""

    webhook: str | None = None
    """URL that gets one POST a message, as Pub/Sub pushes it."""
    pubsub_topic: str | None = None
    """Topic of Pub/Sub, projects/PROJECT/topics/TOPIC."""
    secret_file: Path | None = None
    """File with the secret that signs what a webhook gets (X-Gateway-Signature); without it nothing is signed."""
    authority: Path | None = None
    """PEM file with the authorities that sign the webhook's certificate; without it those of the system."""
    in_flight: Count = 1
    """Messages that a webhook gets at once; more than one may arrive in another order."""
    send_for_bulk_import: bool = False
    """Whether imports are told as well, one message an instance."""

    @field_validator("webhook")
    @classmethod
    def _webhook(cls, text: str | None) -> str | None:
        if text is None:
            return None
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.fragment or url.user or url.password:
            raise ValueError("must look like https://example.org/hook, without user or fragment")
        return text

    @field_validator("pubsub_topic")
    @classmethod
    def _topic(cls, text: str | None) -> str | None:
        if text is not None and re.fullmatch(TOPIC, text) is None:
            raise ValueError("must look like projects/PROJECT/topics/TOPIC")
        return text

    @model_validator(mode="after")
    def _one_of_two(self) -> Notify:
        if (self.webhook is None) == (self.pubsub_topic is None):
            raise ValueError("names a webhook or a pubsub_topic, and not both")
        if self.webhook is None and (self.secret_file or self.authority or self.in_flight != 1):
            raise ValueError("secret_file, authority and in_flight are for webhooks; [notifications] has what Pub/Sub needs")
        return self


class Notifications(Section):
    """How messages to webhooks and topics (stores.NAME.notify, notificationConfigs) are sent, and how long they are kept."""

    waiting: Count = 1_000_000
    """Messages that may wait, some 350 MiB; then stores and deletes that somebody has to hear of are answered 503."""
    keep_days: float = Field(7, gt=0, allow_inf_nan=False)
    """Days after which a message that nobody took is given up and counted: it must not stand in the way for ever."""
    attempts: Count = 10
    """How often a message may be refused (4xx) before it is set aside; while a receiver is down nothing counts."""
    timeout: Seconds = Field(30, gt=0)
    """Seconds for a whole call."""
    pubsub_url: str = "https://pubsub.googleapis.com"
    """Where topics are published to; PUBSUB_EMULATOR_HOST in the environment goes before it, and is shown no credentials."""
    pubsub_key_file: Path | None = None
    """File with a service account's key for Pub/Sub; without it Google's Application Default Credentials."""

    @field_validator("pubsub_url")
    @classmethod
    def _pubsub_url(cls, text: str) -> str:
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
            raise ValueError("must look like https://pubsub.googleapis.com")
        return text.rstrip("/")
