from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway import config
from gateway.config import ConfigError, Settings
from gateway.sections.notifications import Notifications, Notify
from gateway.toml import effective
from tests.sections.written import write

TOPIC = "projects/p/topics/dicom"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"webhook": "https://h.example/", "pubsub_topic": TOPIC},
        {"webhook": "ftp://h.example/"},
        {"webhook": "file:///etc/passwd"},
        {"webhook": "https:///hook"},
        {"webhook": "https://user:secret@h.example/"},
        {"webhook": "https://h.example/#part"},
        {"pubsub_topic": "topic"},
        {"pubsub_topic": "projects/p/topics/../x"},
        {"pubsub_topic": TOPIC, "secret_file": "x"},
        {"pubsub_topic": TOPIC, "in_flight": 2},
        {"webhook": "https://h.example/", "in_flight": 0},
    ],
)
def test_who_is_told_is_named_in_one_way(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Notify(**bad)


def test_a_webhook_keeps_its_query() -> None:
    assert Notify(webhook="https://h.example/hook?tenant=7").webhook == "https://h.example/hook?tenant=7"


@pytest.mark.parametrize("bad", [{"waiting": 0}, {"keep_days": 0}, {"attempts": 0}, {"timeout": 0}, {"pubsub_url": "pubsub"}])
def test_limits_are_limits(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Notifications(**bad)


def test_a_store_names_several_and_they_are_shown_again(tmp_path: Path) -> None:
    text = f"""
[[stores.default.notify]]
webhook = "https://h.example/hook"
secret_file = "/run/secrets/hook"
[[stores.default.notify]]
pubsub_topic = "{TOPIC}"
send_for_bulk_import = true
"""
    settings = config.load(write(tmp_path, text))
    hook, topic = settings.stores["default"].notify
    assert (hook.webhook, hook.secret_file, topic.pubsub_topic) == ("https://h.example/hook", Path("/run/secrets/hook"), TOPIC)
    assert config.load(write(tmp_path, effective(settings))) == settings
    assert Settings().stores["default"].notify == ()


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.toml: stores\.default\.notify\.webhok: unknown key, did you mean webhook\?"):
        config.load(write(tmp_path, '[[stores.default.notify]]\nwebhok = "https://h.example/"\n'))
