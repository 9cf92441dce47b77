"""Stores by name."""

from __future__ import annotations

import pytest

from gateway.backends.catalog import DEFAULT, Catalog
from gateway.backends.memory import MemoryBackend
from gateway.errors import NotFound


class Closing(MemoryBackend):
    """Counts how often it is closed, and may fail at that."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.closed = 0
        self._error = error

    async def aclose(self) -> None:
        self.closed += 1
        if self._error is not None:
            raise self._error


def test_stores_are_found_by_name_and_listed_in_order() -> None:
    first, second = MemoryBackend(), MemoryBackend()
    catalog = Catalog({DEFAULT: first, "research": second})
    assert catalog.get(DEFAULT) is first and catalog.get("research") is second
    assert list(catalog) == [(DEFAULT, first), ("research", second)]


@pytest.mark.parametrize("name", ["", "Default", "../default", "default/"])
def test_no_other_name_is_a_store(name: str) -> None:
    with pytest.raises(NotFound, match="no store of that name"):
        Catalog({DEFAULT: MemoryBackend()}).get(name)


def test_what_is_done_to_the_mapping_later_changes_nothing() -> None:
    stores = {DEFAULT: MemoryBackend()}
    catalog = Catalog(stores)
    stores.clear()
    assert catalog.get(DEFAULT)


async def test_all_stores_are_closed_though_one_fails() -> None:
    stores = [Closing(), Closing(OSError("disk")), Closing(ValueError("odd")), Closing()]
    with pytest.raises(ExceptionGroup, match="closing the stores") as caught:
        await Catalog({str(number): store for number, store in enumerate(stores)}).aclose()
    assert [store.closed for store in stores] == [1, 1, 1, 1]
    assert [type(error) for error in caught.value.exceptions] == [OSError, ValueError]


async def test_closing_well_is_silent() -> None:
    await Catalog({"a": Closing(), "b": Closing()}).aclose()


async def test_what_stands_behind_the_stores_is_closed_too_in_the_order_that_is_given() -> None:
    order: list[str] = []

    class Named(Closing):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def aclose(self) -> None:
            order.append(self.name)

    store, behind = Named("store"), Named("behind")
    await Catalog({"a": store}, [store, behind]).aclose()
    assert order == ["store", "behind"]
