"""What can be set of the Cloud Healthcare API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator
from yarl import URL

from gateway.sections.base import Count, Section
from gateway.sections.stores import Credentials, Origin

_BUCKETS = re.compile(r"(?:gs|s3)://(?:[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](?:/.*)?)?")
_RELAY_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]|_(?!_)){0,62}")


class Relay(Section):
    """A project that is bound to the real API, or a dataset of it: what is below it is asked there and never kept here."""

    project: str = Field(min_length=1)
    """Project that is bound, with all that it has."""
    location: str | None = None
    """With dataset: where it is."""
    dataset: str | None = None
    """Binds this dataset alone; the project's other ones are the gateway's own."""
    url: str = "https://healthcare.googleapis.com"
    """What /v1 and /v1beta1 stand below at the origin."""
    stores: Count = 32
    """DICOM stores of it that a worker has open at once, each with its share of origin.area_bytes."""
    cache: bool = True
    """Whether answers of its DICOM stores are kept (see [cache])."""
    credentials: Credentials = Credentials(kind="google")
    """What the origin is shown, as for stores: the machine's own Google credentials, unless this says otherwise."""
    origin: Origin = Origin()
    """How the origin is asked, as for stores."""

    @field_validator("url")
    @classmethod
    def _root(cls, text: str) -> str:
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment or url.user or url.password:
            raise ValueError("must look like https://healthcare.googleapis.com, without user, query or fragment")
        return text.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> Relay:
        if (self.location is None) != (self.dataset is None):
            raise ValueError("location and dataset are set together or not at all")
        return self


class Healthcare(Section):
    """Datasets and DICOM stores by the Cloud Healthcare API, below /v1 and /v1beta1."""

    create: bool = True
    """Whether callers may create, change and delete datasets and stores; those of this file nobody changes by API."""
    folders: tuple[Path, ...] = ()
    """Folders of this host that imports and exports by API (file:///...) may read and write, with all that is below them; links inside
    are not followed. Empty: none."""
    buckets: tuple[str, ...] = ()
    """URIs of object storage likewise, such as "gs://bucket/" or "s3://bucket/folder/"; "gs://" is every bucket that the gateway's
    credentials open. Credentials come from the environment or the instance, as the tools of that cloud find them. Empty: none."""
    gcs_endpoint: str | None = None
    """Where gs:// is, unless at Google."""
    s3_endpoint: str | None = None
    """Where s3:// is, unless at Amazon: MinIO, Ceph and others. AWS_REGION is used as well."""
    relays: dict[str, Relay] = Field({})
    """Name -> project or dataset that is relayed to the real API; the name is shown in metrics and messages."""

    @field_validator("folders")
    @classmethod
    def _absolute(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(one.is_absolute() and ".." not in one.parts for one in folders):
            raise ValueError("folders are absolute paths, without ..")
        return folders

    @field_validator("buckets")
    @classmethod
    def _uris(cls, buckets: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_BUCKETS.fullmatch(one) for one in buckets):
            raise ValueError("buckets look like gs://bucket/, s3://bucket/folder/ or gs://")
        return buckets

    @field_validator("gcs_endpoint", "s3_endpoint")
    @classmethod
    def _endpoint(cls, text: str | None) -> str | None:
        url = URL(text or "https://none")
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.user or url.password:
            raise ValueError("must look like https://host:port, without user or query")
        return text

    @field_validator("relays")
    @classmethod
    def _relays(cls, relays: dict[str, Relay]) -> dict[str, Relay]:
        bound = [(relay.project, relay.location, relay.dataset) for relay in relays.values()]
        if len(set(bound)) < len(bound):
            raise ValueError("two relays are bound to the same project or dataset")
        for name in relays:
            if _RELAY_NAME.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name of a relay: up to 63 of a-z 0-9 - and single _, starting with a letter or digit")
        return relays


class Emulator(Section):
    """Errors on purpose below /v1 and /v1beta1, for tests of clients: do they try again, and do they wait?"""

    error_rate: float = Field(0, ge=0, le=1, allow_inf_nan=False)
    """The share of requests that are answered with an error and do nothing: 0 none, 0.1 every tenth, 1 all."""
    statuses: tuple[Literal[429, 500, 503], ...] = Field((429, 503), min_length=1)
    """Statuses of these errors, each as likely as the others; 429, 500 and 503 are those that Google's API asks clients to repeat."""
    retry_after: int = Field(1, ge=0)
    """Seconds in the Retry-After of these errors; 0 leaves that header out."""
