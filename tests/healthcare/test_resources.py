from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.healthcare.resources import STORE_FIELDS, dataset, matches, patched, store


def test_a_dataset_is_in_utc_unless_it_says_otherwise() -> None:
    assert dataset(None) == dataset({}) == {"timeZone": "UTC"}
    assert dataset({"timeZone": "Europe/Berlin", "name": "sent back"}) == {"timeZone": "Europe/Berlin"}


def test_no_dataset_is_promised_to_be_encrypted_with_a_key_that_is_never_used() -> None:
    with pytest.raises(BadRequest, match="encryptionSpec"):
        dataset({"encryptionSpec": {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}})
    assert dataset({"encryptionSpec": {"kmsKeyName": ""}}) == dataset({"encryptionSpec": None}) == {"timeZone": "UTC"}


@pytest.mark.parametrize("body", [[], "x", {"timezone": "UTC"}, {"timeZone": 3}, {"timeZone": "../etc/passwd"}, {"timeZone": "a" * 99}])
def test_what_is_no_dataset_is_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        dataset(body)


def test_a_store_has_labels_and_topics() -> None:
    body = {
        "labels": {"site": "nord", "größe": "klein_1"},
        "notificationConfig": {"pubsubTopic": "projects/p/topics/dicom"},
        "notificationConfigs": [{"pubsubTopic": "projects/p/topics/dicom", "sendForBulkImport": True}],
        "streamConfigs": [],
    }
    assert store(body) == {name: value for name, value in body.items() if name != "streamConfigs"}
    assert store({"labels": {}}) == {}


def test_null_is_what_a_field_is_by_itself() -> None:
    assert store({"labels": None, "notificationConfig": None, "notificationConfigs": None, "streamConfigs": None}) == {}
    assert patched({"labels": {"a": "1"}}, {"labels": None}, "labels", STORE_FIELDS) == {}
    assert patched({"labels": {"a": "1"}}, {"labels": None}, "labels.a", STORE_FIELDS) == {"labels": {}}


@pytest.mark.parametrize(
    "body",
    [
        {"labels": []},
        {"labels": {"A": "b"}},
        {"labels": {"a": "B"}},
        {"labels": {"": "b"}},
        {"labels": {"1a": "b"}},
        {"labels": {"a": 1}},
        {"labels": {"a" * 64: "b"}},
        {"labels": {f"a{number}": "" for number in range(65)}},
        {"notificationConfig": {"pubsubTopic": "topic"}},
        {"notificationConfig": {"pubsubTopic": "projects/p/topics/goog-dicom"}},
        {"notificationConfig": {"pubsubTopic": "projects/p/topics/ab"}},
        {"notificationConfig": {"pubsubTopic": "projects/../topics/dicom"}},
        {"notificationConfig": {"pubsubTopic": "projects/p?x=1/topics/dicom"}},
        {"notificationConfig": {"pubsubTopic": "projects/p/topics/dicom:publish"}},
        {"notificationConfig": {"pubsubTopic": "projects/p/topics/dicom/../other"}},
        {"notificationConfig": {"pubsubTopic": 7}},
        {"notificationConfig": {"pubsubTopic": "projects/p/topics/dicom", "webhook": "http://127.0.0.1/"}},
        {"notificationConfig": {"pubsubTopic": "projects/p/topics/dicom", "sendForBulkImport": "yes"}},
        {"notificationConfig": "topic"},
        {"notificationConfigs": {}},
        {"notificationConfigs": [None]},
        {"streamConfigs": [{}]},
        {"colour": "red"},
    ],
)
def test_what_is_no_store_is_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        store(body)


@pytest.mark.parametrize(
    ("mask", "body", "expected"),
    [
        ("labels", {"labels": {"b": "2"}}, {"labels": {"b": "2"}, "notificationConfig": {}}),
        ("labels", {}, {"notificationConfig": {}}),
        ("labels.b", {"labels": {"b": "2", "c": "3"}}, {"labels": {"a": "1", "b": "2"}, "notificationConfig": {}}),
        ("labels.a", {}, {"labels": {}, "notificationConfig": {}}),
        ("notification_config, labels", {"notificationConfig": {"x": 1}}, {"notificationConfig": {"x": 1}}),
    ],
)
def test_only_what_the_mask_names_changes(mask: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert patched({"labels": {"a": "1"}, "notificationConfig": {}}, body, mask, STORE_FIELDS) == expected


@pytest.mark.parametrize("mask", [None, "", " , ", "name", "labels,colour"])
def test_a_mask_is_needed_and_names_fields(mask: str | None) -> None:
    with pytest.raises(BadRequest, match="updateMask"):
        patched({}, {}, mask, STORE_FIELDS)


@pytest.mark.parametrize("mask", ["labels.", "notificationConfig.pubsubTopic", "notificationConfigs.0"])
def test_of_a_field_only_labels_have_parts_that_change(mask: str) -> None:
    with pytest.raises(BadRequest, match="a part of a field"):
        patched({"labels": {"a": "1"}}, {"labels": {"b": "2"}}, mask, STORE_FIELDS)


@pytest.mark.parametrize("labels", ["abc", ["a"], {"a": 5}, 7])
def test_a_label_alone_is_judged_as_all_of_them(labels: object) -> None:
    with pytest.raises(BadRequest):
        patched({}, {"labels": labels}, "labels.a", STORE_FIELDS)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("", True),
        ("labels.a=1", True),
        ('labels.a = "1"', True),
        ("labels.a=2", False),
        ("labels.a:*", True),
        ("labels.b:*", False),
        ("labels.a=1 AND labels.c:*", True),
        ("labels.a=1 AND labels.b:*", False),
    ],
)
def test_filters_go_by_labels(expression: str, found: bool) -> None:
    assert matches({"a": "1", "c": ""}, expression) is found


@pytest.mark.parametrize("expression", ["name=x", "labels.a=1 AND name=x"])
def test_other_filters_are_refused(expression: str) -> None:
    with pytest.raises(BadRequest):
        matches({}, expression)
