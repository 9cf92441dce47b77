"""What can be set of a store: where its instances rest, and for an origin how it is asked.

A table that is of no use for the kind of store that it stands under is refused: it would promise what nobody keeps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, Field, field_validator, model_validator
from yarl import URL

from gateway.sections.base import GIB, MIB, Count, Seconds, Section, Size
from gateway.sections.notifications import Notify


class Credentials(Section):
    """What the gateway shows an origin. Secrets stay in files, which are read again when they change."""

    kind: Literal["none", "basic", "bearer", "client_credentials", "google", "pass_through"] = "none"
    """Nothing, a password, a token, OAuth 2 client credentials, Google's Application Default Credentials, or what the caller sent."""
    user: str | None = None
    """Name for basic, client id for client_credentials."""
    secret_file: Path | None = None
    """File with the password, the bearer token, the client secret, or Google's service account key (none: what the machine is)."""
    token_url: str | None = None
    """Token endpoint for client_credentials."""
    scope: str | None = None
    """Scope to ask the token for; Google's default is its healthcare scope."""
    certificate: Path | None = None
    """PEM file with a client certificate for the origin, and its chain."""
    certificate_key: Path | None = None
    """PEM file with the key of certificate."""
    authority: Path | None = None
    """PEM file with the authorities that sign the origin's certificate; without it those of the system."""

    @model_validator(mode="after")
    def _complete(self) -> Credentials:
        needed = {"basic": ("user", "secret_file"), "bearer": ("secret_file",), "client_credentials": ("user", "secret_file", "token_url")}
        missing = [name for name in needed.get(self.kind, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f'kind = "{self.kind}" needs {" and ".join(missing)}')
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key are set together or not at all")
        return self


class Origin(Section):
    """How patient the gateway is with an origin, and how hard it may press."""

    connect_timeout: Seconds = Field(5, gt=0)
    """Seconds until a connection stands, TLS included."""
    first_byte_timeout: Seconds = Field(60, gt=0)
    """Seconds until an answer begins; archives that fetch from tape need more."""
    idle_timeout: Seconds = Field(60, gt=0)
    """Seconds without a byte inside a body, either way."""
    total_timeout: Seconds = 0
    """Seconds for a whole transaction; 0 is as long as bytes flow, for a study may take an hour."""
    tries: Count = 3
    """How often a request that may be repeated is sent at most."""
    retry_budget: float = Field(0.1, ge=0, le=1)
    """Retries as a share of all calls; more of them would hold down an origin that is trying to get up."""
    in_flight: Count = 64
    """Requests that a worker has at the origin at once; more are told to come back (503)."""
    breaker_failures: Count = 10
    """Failures in a row after which the origin is left alone."""
    breaker_seconds: Seconds = Field(10, gt=0)
    """How long it is left alone before one request tries again."""
    scan_results: Count = 10_000
    """Results of the origin that a search may look through for keys that the origin cannot match."""
    area_bytes: Size = Field(ByteSize(4 * GIB), ge=MIB)
    """Disk for whole instances out of which frames and bulk data are cut where the origin cannot give them."""


class Spool(Section):
    """Store and forward: what is stored is safe here, answered, and delivered in the background."""

    attempts: Count = 20
    """How often a destination may refuse an instance before it is set aside; while a destination is down nothing counts."""
    batch: Count = 64
    """Instances of a study that are sent in one request."""


class Route(Section):
    """Where instances of a kind are delivered."""

    when: dict[str, str] = Field({})
    """Attributes, by keyword or tag, and what they must look like, as in a search; all of them must match."""
    to: tuple[str, ...] = Field(min_length=1)
    """Names of the stores that get them; the store's own name is its own origin."""


class Store(Section):
    """One store: where its instances rest and what it promises."""

    backend: Literal["local", "memory", "upstream", "federation"] = "local"
    """local keeps files and an index on disk, upstream is a DICOMweb origin, federation is several stores as one, memory forgets."""
    root: Path = Path("<data>/<name>")
    """Folder of a local store, and of what an upstream store keeps (spool, area); one store a folder."""
    on_duplicate: Literal["reject", "replace", "skip"] = "reject"
    """A known instance that arrives with other bytes; equal bytes always succeed. At an origin the origin decides."""
    durability: Literal["full", "relaxed"] = "full"
    """full answers 200 after fsync; relaxed may lose the last seconds in a power cut."""
    min_free_bytes: Size = ByteSize(256 * MIB)
    """Free disk space below which stores are refused (507), so that index and logs can still be written."""
    default_transfer_syntax: Literal["explicit", "stored"] = "explicit"
    """What a request gets that names no transfer syntax: Explicit VR Little Endian (PS3.18 8.7.3.5), or as stored."""
    url: str | None = None
    """DICOMweb base URL of an upstream store's origin, such as http://pacs:8042/dicom-web."""
    profile: Literal["generic", "google", "orthanc", "dcm4chee"] = "generic"
    """What kind of origin it is; `check-config --probe` finds out."""
    overrides: dict[str, Any] = Field({})
    """What this origin can or cannot do otherwise than its profile says."""
    cache: bool = True
    """Whether answers of an origin are kept (see [cache])."""
    delivery: Literal["direct", "spool"] = "direct"
    """direct passes stores through and answers what the origin answers; spool makes them safe here first and delivers them later."""
    members: tuple[str, ...] = ()
    """Stores of a federation; the first one takes what is stored."""
    routes: tuple[Route, ...] = ()
    """Where spooled instances go; what no route names goes to the store's own origin."""
    credentials: Credentials = Credentials()
    """What the origin is shown."""
    origin: Origin = Origin()
    """How the origin is asked."""
    spool: Spool = Spool()
    """How spooled instances are delivered."""
    notify: tuple[Notify, ...] = ()
    """Who is told what is stored and deleted."""

    @field_validator("url")
    @classmethod
    def _origin_url(cls, text: str | None) -> str | None:
        if text is None:
            return None
        url = URL(text := text.strip())
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
            raise ValueError("must look like https://pacs.example/dicom-web, without query or fragment")
        if url.user or url.password:
            raise ValueError("credentials do not belong into a URL, which ends up in logs; use the credentials table")
        return text.rstrip("/")

    @field_validator("members", mode="before")
    @classmethod
    def _with_commas(cls, words: Any) -> Any:
        return [word.strip() for word in words.split(",") if word.strip()] if isinstance(words, str) else words

    @model_validator(mode="after")
    def _belongs(self) -> Store:
        for name, kind in _ONLY.items():
            if name in self.model_fields_set and self.backend != kind and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f'{name} is for backend = "{kind}"')
        if self.backend == "upstream" and self.url is None:
            raise ValueError('backend = "upstream" needs url, the DICOMweb base URL of the origin')
        if self.backend == "federation" and not self.members:
            raise ValueError('backend = "federation" needs members, a list of stores')
        if self.routes and self.delivery != "spool":
            raise ValueError('routes are for delivery = "spool"')
        if self.delivery == "spool" and self.credentials.kind == "pass_through":
            raise ValueError('delivery = "spool" goes on when the caller has left, so it needs credentials of its own, not pass_through')
        return self

    @property
    def keeps_files(self) -> bool:
        """Whether it has a folder of its own."""
        return self.backend in ("local", "upstream")


def foreign_keys(backend: str) -> frozenset[str]:
    """The keys that say nothing for a kind of store."""
    return frozenset(name for name, kind in _ONLY.items() if kind != backend)


_ONLY = {
    "url": "upstream",
    "profile": "upstream",
    "overrides": "upstream",
    "cache": "upstream",
    "delivery": "upstream",
    "routes": "upstream",
    "credentials": "upstream",
    "origin": "upstream",
    "spool": "upstream",
    "members": "federation",
}
