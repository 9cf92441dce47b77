"""Store name -> Backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from gateway.backends.base import Backend
from gateway.errors import NotFound

DEFAULT = "default"
"""The store behind /dicom-web."""


class Closing(Protocol):
    """Something that is closed at the end."""

    async def aclose(self) -> None:
        """Ends its work in order."""
        ...


class Catalog:
    """The stores that this process offers; `opening` fills it, `web` asks it.

    :param closing: what to close at the end, in this order, where that is more than the stores.
    """

    def __init__(self, stores: Mapping[str, Backend], closing: Sequence[Closing] = ()) -> None:
        self._stores = dict(stores)
        self._closing = tuple(closing) or tuple(self._stores.values())

    def get(self, name: str) -> Backend:
        """:raises NotFound: when no store has that name."""
        try:
            return self._stores[name]
        except KeyError:
            raise NotFound("there is no store of that name") from None

    def __iter__(self) -> Iterator[tuple[str, Backend]]:
        return iter(self._stores.items())

    async def aclose(self) -> None:
        """Closes every store, the others also when one fails."""
        await close_all(self._closing)


async def close_all(closing: Sequence[Closing]) -> None:
    """Closes one after the other, the rest also when one fails.

    :raises ExceptionGroup: with what failed.
    """
    errors: list[Exception] = []
    for one in closing:
        try:
            await one.aclose()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("closing the stores", errors)
