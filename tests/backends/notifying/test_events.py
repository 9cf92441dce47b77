from __future__ import annotations

import base64
import json
from typing import Any

import googleapiclient.discovery_cache as cache
import pytest

from gateway.backends.notifying.events import Message, Target, acting, acting_as, hearing, kind_of, topics_of, webhook_key
from gateway.dicomweb.resources import Resource
from tests.backends.made import named

STORE = "projects/p/locations/l/datasets/d/dicomStores/s"
MOMENT = 1_700_000_000.123456


def message(*uids: str, action: str = "StoreInstances", **extra: str) -> Message:
    return Message(7, "projects/p/topics/t", STORE, named(*uids) if uids else Resource(), action, MOMENT, extra)


def test_a_message_has_the_attributes_of_the_discovery_document() -> None:
    document = json.loads(cache.get_static_doc("healthcare", "v1"))
    said = document["schemas"]["DicomNotificationConfig"]["properties"]["pubsubTopic"]["description"]
    told = message("1.1", "1.2", "1.3", storageClass="ARCHIVE", previousStorageClass="STANDARD").attributes
    assert all(f"`{name}`" in said for name in told)
    assert told == {
        "action": "StoreInstances",
        "lastUpdatedTime": "Tue, 14 Nov 2023 22:13:20 +0000",
        "storeName": STORE,
        "studyInstanceUID": "1.1",
        "seriesInstanceUID": "1.2",
        "sopInstanceUID": "1.3",
        "versionId": "1700000000123456",
        "storageClass": "ARCHIVE",
        "previousStorageClass": "STANDARD",
    }


@pytest.mark.parametrize(
    ("uids", "name"),
    [
        (("1.1", "1.2", "1.3"), f"{STORE}/dicomWeb/studies/1.1/series/1.2/instances/1.3"),
        (("1.1",), f"{STORE}/dicomWeb/studies/1.1"),
        ((), STORE),
    ],
)
def test_its_data_is_the_name_of_what_was_changed(uids: tuple[str, ...], name: str) -> None:
    told = message(*uids).published()
    assert base64.b64decode(told["data"]).decode() == name
    assert sum(key.endswith("UID") for key in told["attributes"]) == len(uids)


def test_a_webhook_gets_it_as_pubsub_pushes_it() -> None:
    pushed = message("1.1").pushed()
    assert set(pushed) == {"message"}
    assert pushed["message"].keys() == {"data", "attributes", "messageId", "publishTime"}
    assert (pushed["message"]["messageId"], pushed["message"]["publishTime"]) == ("7", "2023-11-14T22:13:20.123456Z")


@pytest.mark.parametrize(
    ("fields", "targets"),
    [
        ({}, ()),
        ({"notificationConfig": {"pubsubTopic": ""}}, ()),
        ({"notificationConfig": {"pubsubTopic": "projects/p/topics/aaa"}}, (Target("projects/p/topics/aaa"),)),
        (
            {
                "notificationConfig": {"pubsubTopic": "projects/p/topics/aaa"},
                "notificationConfigs": [
                    {"pubsubTopic": "projects/p/topics/bbb"},
                    {"pubsubTopic": "projects/p/topics/aaa", "sendForBulkImport": True},
                ],
            },
            (Target("projects/p/topics/aaa", bulk=True), Target("projects/p/topics/bbb")),
        ),
    ],
)
def test_a_store_names_its_topics_in_two_ways(fields: dict[str, Any], targets: tuple[Target, ...]) -> None:
    assert topics_of(fields) == targets


def test_of_imports_only_those_hear_who_want_to() -> None:
    both = (Target("a"), Target("b", bulk=True))
    assert hearing(both, "StoreInstances") == ("a", "b")
    assert hearing(both, "ImportDicomData") == ("b",)


def test_a_webhook_is_known_by_its_host_and_hides_the_rest() -> None:
    key = webhook_key("https://hooks.example/T0/secret")
    assert key.startswith("webhook hooks.example ") and "secret" not in key
    assert key != webhook_key("https://hooks.example/T1/secret")
    assert (kind_of(key), kind_of("projects/p/topics/t")) == ("webhook", "pubsub")


def test_an_action_holds_for_what_is_done_inside() -> None:
    with acting("ImportDicomData"):
        assert acting_as() == "ImportDicomData"
    assert acting_as() is None
