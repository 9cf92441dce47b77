from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.healthcare.names import checked_id, dataset_name, location_name, operation_name, store_name

PARENT = location_name("my-project", "us-central1")


def test_names_are_paths_of_the_api() -> None:
    dataset = dataset_name(PARENT, "d1")
    assert str(dataset) == "projects/my-project/locations/us-central1/datasets/d1"
    assert str(store_name(dataset, "s.1")) == f"{dataset}/dicomStores/s.1"
    assert str(operation_name(dataset, "17")) == f"{dataset}/operations/17"


@pytest.mark.parametrize("text", ["a", "A-b_c.9", "Röntgen", "放射線", "x" * 256, "..", "-"])
def test_ids_have_letters_and_digits_of_any_script(text: str) -> None:
    assert checked_id(text, "datasetId") == text


@pytest.mark.parametrize("text", ["", "x" * 257, "a b", "a/b", "a:b", "a\0", "a%2Fb", "ß\n", "😀"])
def test_others_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(BadRequest, match="dicomStoreId") as caught:
        checked_id(text, "dicomStoreId")
    assert not text or text not in caught.value.message


@pytest.mark.parametrize(
    ("project", "location"), [("", "l"), ("p", ""), ("a/b", "l"), ("p", "US"), ("p", "l" * 65), ("-p", "l"), ("p", "a_b")]
)
def test_projects_and_locations_are_checked(project: str, location: str) -> None:
    with pytest.raises(BadRequest):
        location_name(project, location)


@pytest.mark.parametrize("number", ["", "x", "-1", "1" * 21, "٣"])
def test_operations_have_numbers(number: str) -> None:
    with pytest.raises(BadRequest):
        operation_name(dataset_name(PARENT, "d"), number)
