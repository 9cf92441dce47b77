"""Long-running operations (google.longrunning.Operation): what clients poll until ``done``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.healthcare.times import timestamp

_TYPES = "type.googleapis.com/"


@dataclass(frozen=True, slots=True)
class Counter:
    """Instances or files. Google writes them as text, since JSON's numbers are no int64."""

    success: int = 0
    failure: int = 0
    pending: int = 0

    def to_json(self) -> dict[str, str]:
        """What is not zero."""
        pairs = (("success", self.success), ("failure", self.failure), ("pending", self.pending))
        return {name: str(count) for name, count in pairs if count}


@dataclass(frozen=True, slots=True)
class Operation:
    """:param name: ``projects/P/locations/L/datasets/D/operations/N``.
    :param method: what began it, such as ``google.cloud.healthcare.v1.dicomweb.DicomService.DeleteStudy``.
    :param created: seconds since the epoch. :param ended: likewise; None while it runs.
    :param response: type and fields of what came of it. :param error: google.rpc.Status when it failed.
    :param cancelled: somebody asked it to stop.
    """

    name: str
    method: str
    created: float
    ended: float | None = None
    counter: Counter = field(default_factory=Counter)
    response: Mapping[str, Any] = field(default_factory=dict)
    response_type: str = "google.protobuf.Empty"
    error: Mapping[str, Any] | None = None
    cancelled: bool = False

    def to_json(self, version: str = "v1") -> dict[str, Any]:
        """As ``operations.get`` answers it.

        :param version: of the API that is asked.
        """
        metadata: dict[str, Any] = {
            "@type": f"{_TYPES}google.cloud.healthcare.{version}.OperationMetadata",
            "apiMethodName": self.method,
            "createTime": timestamp(self.created),
        }
        if self.ended is not None:
            metadata["endTime"] = timestamp(self.ended)
        if self.cancelled:
            metadata["cancelRequested"] = True
        if counter := self.counter.to_json():
            metadata["counter"] = counter
        found: dict[str, Any] = {"name": self.name, "metadata": metadata}
        if self.ended is not None:
            found["done"] = True
            if self.error is None:
                found["response"] = {"@type": _TYPES + self.response_type, **self.response}
            else:
                found["error"] = dict(self.error)
        return found
