"""Store name -> Backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.backends.base import Backend
from gateway.errors import NotFound

DEFAULT = "default"
"""The store behind /dicom-web."""


class Catalog:
    """The stores that this process offers; `app` fills it, `web` asks it."""

    def __init__(self, stores: Mapping[str, Backend]) -> None:
        self._stores = dict(stores)

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
        errors: list[Exception] = []
        for backend in self._stores.values():
            try:
                await backend.aclose()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("closing the stores", errors)
