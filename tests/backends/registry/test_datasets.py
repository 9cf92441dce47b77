from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.registry.datasets import Datasets, Page
from gateway.backends.registry.file import File
from gateway.errors import Conflict, NotFound
from gateway.healthcare.names import dataset_name, location_name, store_name

HERE, THERE = location_name("p", "here"), location_name("p", "there")
D = dataset_name(HERE, "d")


@pytest.fixture
def datasets(tmp_path: Path) -> Iterator[Datasets]:
    file = File(tmp_path)
    yield Datasets(file)
    file.close()


def test_datasets_are_created_read_changed_listed_and_deleted(datasets: Datasets) -> None:
    datasets.create_dataset(D, {"timeZone": "UTC"})
    with pytest.raises(Conflict):
        datasets.create_dataset(D, {})
    assert datasets.dataset(D).fields == {"timeZone": "UTC"}
    datasets.change_dataset(D, lambda _: {"timeZone": "Asia/Tokyo"})
    assert datasets.dataset(D).fields == {"timeZone": "Asia/Tokyo"}
    datasets.create_dataset(dataset_name(THERE, "d"), {})
    assert [one.name for one in datasets.datasets(HERE)] == [str(D)]
    assert sorted(datasets.locations("p")) == ["here", "there"] and datasets.locations("q") == []
    datasets.delete_dataset(D)
    for call in (datasets.dataset, datasets.delete_dataset):
        with pytest.raises(NotFound):
            call(D)
    with pytest.raises(NotFound):
        datasets.change_dataset(D, lambda _: {})


def test_stores_live_in_datasets_and_go_with_them(datasets: Datasets) -> None:
    name = store_name(D, "s")
    with pytest.raises(NotFound):
        datasets.create_store(name, {})
    datasets.create_dataset(D, {})
    made = datasets.create_store(name, {"labels": {"a": "b"}})
    with pytest.raises(Conflict):
        datasets.create_store(name, {})
    assert datasets.store(name) == made and "s" not in made.folder and len(made.folder) == 32
    datasets.change_store(name, lambda _: {})
    assert datasets.store(name).fields == {}
    assert datasets.folders() == {made.folder}
    assert datasets.delete_dataset(D) == [made.folder]
    with pytest.raises(NotFound):
        datasets.store(name)
    with pytest.raises(NotFound):
        datasets.stores(D)


def test_a_deleted_store_leaves_its_folder_and_a_new_one_has_another(datasets: Datasets) -> None:
    datasets.create_dataset(D, {})
    name = store_name(D, "s")
    first = datasets.create_store(name, {}).folder
    assert datasets.delete_store(name) == first
    with pytest.raises(NotFound):
        datasets.delete_store(name)
    assert datasets.create_store(name, {}).folder != first


def test_a_change_that_is_refused_changes_nothing_and_others_see_the_last_one(datasets: Datasets) -> None:
    name = store_name(D, "s")
    datasets.create_dataset(D, {"timeZone": "UTC"})
    datasets.create_store(name, {"labels": {"a": "1"}})

    def refused(old: dict[str, object]) -> dict[str, object]:
        raise Conflict("no")

    with pytest.raises(Conflict):
        datasets.change_store(name, refused)
    with pytest.raises(Conflict):
        datasets.change_dataset(D, refused)
    assert datasets.change_store(name, lambda old: old | {"x": 1}).fields == {"labels": {"a": "1"}, "x": 1} == datasets.store(name).fields
    assert datasets.change_dataset(D, lambda old: old | {"x": 1}) == datasets.dataset(D)


def test_pages_go_on_where_the_last_one_ended(datasets: Datasets) -> None:
    datasets.create_dataset(D, {})
    names = sorted(str(datasets.create_store(store_name(D, f"s{number}"), {}).name) for number in range(25))
    seen: list[str] = []
    while some := datasets.stores(D, Page(10, seen[-1] if seen else "")):
        seen += [one.name for one in some]
    assert seen == names
