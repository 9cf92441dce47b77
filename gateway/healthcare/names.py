"""Names of resources of the Cloud Healthcare API: ``projects/P/locations/L/datasets/D/dicomStores/S`` and what is above and below.

They are checked here, before anything is looked up; no name ever becomes a path of a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import BadRequest

MAX_ID = 256
"""Characters of the id of a dataset or store, as Google has it."""

_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9:._-]{0,98}[A-Za-z0-9])?")
_LOCATION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True, order=True)
class LocationName:
    """Where datasets are. Any project and location will do: there is only this gateway."""

    project: str
    location: str

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"


@dataclass(frozen=True, slots=True, order=True)
class DatasetName:
    """A dataset, which holds stores and operations."""

    parent: LocationName
    dataset: str

    def __str__(self) -> str:
        return f"{self.parent}/datasets/{self.dataset}"


@dataclass(frozen=True, slots=True, order=True)
class StoreName:
    """A DICOM store."""

    parent: DatasetName
    store: str

    def __str__(self) -> str:
        return f"{self.parent}/dicomStores/{self.store}"


@dataclass(frozen=True, slots=True, order=True)
class OperationName:
    """A long-running operation."""

    parent: DatasetName
    number: int

    def __str__(self) -> str:
        return f"{self.parent}/operations/{self.number}"


def location_name(project: str, location: str) -> LocationName:
    """:raises BadRequest: when one of them is none."""
    if _PROJECT.fullmatch(project) is None:
        raise BadRequest("the project is no project id: letters, digits, hyphens, dots and colons, at most 100")
    if _LOCATION.fullmatch(location) is None:
        raise BadRequest("the location is none: small letters, digits and hyphens, at most 64")
    return LocationName(project, location)


def dataset_name(parent: LocationName, dataset: str) -> DatasetName:
    """:raises BadRequest: when it is no id."""
    return DatasetName(parent, checked_id(dataset, "datasetId"))


def store_name(parent: DatasetName, store: str) -> StoreName:
    """:raises BadRequest: when it is no id."""
    return StoreName(parent, checked_id(store, "dicomStoreId"))


def parsed_store_name(text: str) -> StoreName:
    """The name that `str` wrote.

    :raises BadRequest: when it is none.
    """
    words = text.split("/")
    if len(words) != 8 or words[::2] != ["projects", "locations", "datasets", "dicomStores"]:
        raise BadRequest("a DICOM store is named projects/P/locations/L/datasets/D/dicomStores/S")
    return store_name(dataset_name(location_name(words[1], words[3]), words[5]), words[7])


def operation_name(parent: DatasetName, number: str) -> OperationName:
    """:raises BadRequest: when it is no number."""
    if _NUMBER.fullmatch(number) is None:
        raise BadRequest("the operation is no number")
    return OperationName(parent, int(number))


def checked_id(text: str, what: str) -> str:
    r"""An id of the caller's choice: letters and digits of any script, ``_``, ``-`` and ``.`` (Google's ``[\p{L}\p{N}_\-\.]{1,256}``).

    :param what: the parameter that carried it, for the message.
    :raises BadRequest: for anything else. The text is not echoed.
    """
    if not 1 <= len(text) <= MAX_ID or not all(char.isalpha() or char.isnumeric() or char in "_-." for char in text):
        raise BadRequest(f"{what} must be 1 to {MAX_ID} letters, digits, underscores, hyphens or dots")
    return text
