"""What can be set, its default and why; read once at start and frozen.

Rules:
1. A later source wins: defaults < TOML file < environment (``GATEWAY_SECTION__KEY``) < flags of the command line.
2. An unknown key is an error in every source, and the message names the nearest known one. In the environment only names
   with a double underscore (and GATEWAY_DATA) are ours: Kubernetes puts GATEWAY_PORT and the like beside them.
3. Every limit is a key here; the rooms get values in constructors and never import this module.

Sizes are bytes (``"64MiB"`` is understood), times are seconds.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ByteSize, Field, IPvAnyNetwork, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from yarl import URL

from gateway import cgroup
from gateway.hints import ENVIRONMENT, NESTING, PREFIX, explain
from gateway.sections import GIB, KIB, MIB, Count, Emulator, Seconds, Section, Size
from gateway.stores import Store

# A worker idles at about 85 MiB and may hold 32 MiB of bodies, its pixel process idles at 80 and needs some tens for a picture;
# as much again is room for the page cache that they live on.
_MEMORY_A_WORKER = 384 * MIB

# numpy and the codecs, as address space: 210 MiB measured, and room for their tables.
_PIXEL_LIBRARIES = 300 * MIB

# Lower case only: environment variables must be able to name every store. The name also appears in URLs.
_STORE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]|_(?!_)){0,62}")


class ConfigError(Exception):
    """The settings do not make sense; the message names source and key, one line a fault."""


class Server(Section):
    """Where the gateway listens, who may come in, and how it goes down."""

    host: str = Field("127.0.0.1", min_length=1)
    """Address to listen on; beyond loopback needs token_file or allow_anonymous."""
    port: int = Field(8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""
    workers: int = Field(0, ge=0)
    """Processes that share the port; 0 is one per CPU that the cgroup grants, as far as memory allows."""
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    """Event loop: uvloop stores and answers with less CPU time, asyncio sends large studies a little faster (loadtests/baseline.md)."""
    tls_certificate: Path | None = None
    """PEM file with the certificate chain; set together with tls_key to serve HTTPS."""
    tls_key: Path | None = None
    """PEM file with the private key of tls_certificate."""
    token_file: Path | None = None
    """File with the bearer tokens that are let in, one a line; a file keeps them out of the process list."""
    allow_anonymous: bool = False
    """Serve callers without credentials on addresses other than loopback; only behind something that checks them."""
    public_url: str | None = None
    """Scheme and host that clients see, for URLs in answers; without it the Host header counts."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks of reverse proxies whose Forwarded and X-Forwarded-* headers are believed for URLs in answers."""
    cors_origins: tuple[str, ...] = ()
    """Origins of browser viewers that may call ("https://viewer.example"; "*" lets all in)."""
    viewer: Path | None = None
    """Folder with a viewer for browsers, which is served at /viewer/; `make viewer` puts OHIF into data/viewer."""
    cache_control: str = "private, no-cache"
    """Cache-Control of what was found: patient data is for the caller's own cache only, which asks each time whether it is still so."""
    header_timeout: Seconds = Field(10, gt=0)
    """Seconds for a request line and its headers; longer is a slow-loris attack."""
    idle_timeout: Seconds = Field(75, gt=0)
    """Seconds that a connection may stay open without a request."""
    stall_timeout: Seconds = Field(30, gt=0)
    """Seconds without a byte inside a body, either way, before the connection is cut."""
    connections: Count = 2000
    """Open connections of a worker; more are closed at once, so that file descriptors last."""
    drain_delay: Seconds = 0
    """Seconds between reporting not ready and closing the port; give a load balancer time to notice."""
    drain_timeout: Seconds = 300
    """Seconds that requests in flight get to finish after SIGTERM; a large upload is worth waiting for."""

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, text: str | None) -> str | None:
        if text is None:
            return None
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string or url.fragment:
            raise ValueError("must look like https://dicom.example/prefix, without user, query or fragment")
        return text.rstrip("/")

    @field_validator("cache_control")
    @classmethod
    def _cache_control(cls, text: str) -> str:
        if not (text.strip() and text.isascii() and text.isprintable()):
            raise ValueError('must be directives such as "private, no-cache" (RFC 9111 5.2)')
        return text

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _with_commas(cls, words: Any) -> Any:
        return [word.strip() for word in words.split(",") if word.strip()] if isinstance(words, str) else words

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and (not origin.startswith(("http://", "https://")) or str(URL(origin).origin()) != origin):
                raise ValueError('an origin is a scheme and a host such as "https://viewer.example", without a path, or "*"')
        return origins

    @model_validator(mode="after")
    def _tls_pair(self) -> Server:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are set together or not at all")
        return self


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important kind of line that is written."""
    format: Literal["json", "console"] = "json"
    """json is one object a line for collectors, console is for eyes."""


class Limits(Section):
    """Bounds on what one caller can make the gateway hold or do; each answers with an error that names it."""

    preamble_bytes: Size = ByteSize(4 * KIB)
    """Multipart: bytes before the first boundary; an endless preamble is an attack."""
    part_headers: Count = 32
    """Multipart: header lines of a part; real parts have one to four."""
    part_header_bytes: Size = Field(ByteSize(16 * KIB), ge=64)
    """Multipart: bytes of all headers of a part."""
    parts: Count = 20_000
    """Multipart: parts of a request; the largest series have some thousands of instances."""
    instance_bytes: Size = Field(ByteSize(16 * GIB), ge=1)
    """One instance; whole-slide images reach a few GiB."""
    header_bytes: Size = Field(ByteSize(16 * MIB), ge=1024)
    """One instance without its bulk values; functional groups of large multi-frames reach some MiB."""
    elements: Count = 200_000
    """Elements of an instance, those in sequences included."""
    items: Count = 50_000
    """Sequence items of an instance; each costs memory that the sender gets for 8 bytes."""
    fragments: Count = 500_000
    """Fragments of compressed pixel data; a slide of 100,000 x 100,000 pixels has 150,000."""
    depth: Count = 64
    """Nested sequences; real structured reports stay below 20."""
    inflated_bytes: Size = Field(ByteSize(64 * MIB), ge=1024)
    """What a deflated instance may grow to; deflate packs zeros a thousandfold."""
    value_bytes: Size = Field(ByteSize(64 * KIB), ge=1024)
    """One value that the index keeps; a longer identifier is no identifier."""
    stow_in_flight: Count = 64
    """Stores that a worker runs at once; more are told to come back (503)."""
    buffered_bytes: Size = Field(ByteSize(64 * MIB), ge=MIB)
    """Header bytes that all stores of a worker hold together; more are told to come back (503)."""
    bulk_bytes: Size = Field(ByteSize(4 * GIB), ge=MIB)
    """Disk of a worker for bulk data that come apart from their metadata; an instance whose bulk data do not fit is refused."""
    results_default: Count = 1000
    """Studies or series of a search that names no limit; no study has more series."""
    results_max: Count = 5000
    """Studies or series of a search, whatever limit it names."""
    instances_default: Count = 10_000
    """Instances of a search that names no limit; about 10 MB of JSON."""
    instances_max: Count = 50_000
    """Instances of a search, whatever limit it names."""
    offset_max: Count = 1_000_000
    """How far a search may skip; every skipped row is read."""
    kept_bytes: Size = ByteSize(32 * MIB)
    """Finished metadata, and compressed answers, that a worker keeps for the next caller; the oldest go first, 0 keeps none."""

    @model_validator(mode="after")
    def _defaults_fit(self) -> Limits:
        if self.results_default > self.results_max or self.instances_default > self.instances_max:
            raise ValueError("results_default and instances_default cannot pass results_max and instances_max")
        return self


class Cache(Section):
    """What is remembered: answers of origins, and what was made of pixels, of any store."""

    memory_bytes: Size = ByteSize(64 * MIB)
    """Answers that a worker keeps in memory; the least used go first, 0 keeps none there."""
    disk_bytes: Size = ByteSize(4 * GIB)
    """Answers that all workers keep on disk, below `data`; they outlive a restart, 0 keeps none there."""
    entry_bytes: Size = Field(ByteSize(256 * MIB), ge=MIB)
    """The largest answer that is kept; a longer one only passes through."""
    ttl: Seconds = 60
    """Seconds that searches and metadata are believed; what passes the gateway is known at once, what others write to the origin is not."""
    content_ttl: Seconds = 86_400
    """Seconds that frames, pictures and bulk data are believed; the bytes of an instance hardly ever change under its UID."""
    stale_if_error: Seconds = 3600
    """Seconds that an answer may be older than that while the origin is down; it is marked with a Warning then, 0 gives none."""


class Pixels(Section):
    """Decoding and drawing, in processes that may be killed without harm; each limit answers with an error that names it."""

    processes: int = Field(0, ge=0)
    """Pixel processes of a worker at most, started when they are needed; 0 is this worker's share of the CPUs."""
    queue: Count = 256
    """Pictures of a worker that may wait for a process; more are told to come back (503)."""
    job_seconds: Seconds = Field(30, gt=0)
    """Seconds that one picture or some frames may take; a decoder that loops is killed then."""
    memory_bytes: Size = Field(ByteSize(2 * GIB), ge=256 * MIB)
    """Address space of a pixel process; the libraries take 300 MiB, and work on a frame three times frame_bytes."""
    frame_bytes: Size = Field(ByteSize(512 * MIB), ge=MIB)
    """One decoded frame; what claims to be larger is not decoded."""
    picture_pixels: Count = 64 * MIB
    """Pixels of one rendered picture."""
    cine_frames: Count = 200
    """Frames of one animated picture."""
    area_bytes: Size = Field(ByteSize(GIB), ge=MIB)
    """Disk for whole instances of origins that are being turned into another transfer syntax."""

    @model_validator(mode="after")
    def _a_frame_fits(self) -> Pixels:
        if self.memory_bytes < 3 * self.frame_bytes + _PIXEL_LIBRARIES:
            raise ValueError("memory_bytes must be three times frame_bytes and 300 MiB: a frame is decoded, changed and written")
        return self


class Healthcare(Section):
    """Datasets and DICOM stores by the Cloud Healthcare API, below /v1 and /v1beta1."""

    create: bool = True
    """Whether callers may create, change and delete datasets and stores; those of this file nobody changes by API."""


class Settings(BaseSettings):
    """Everything that can be set. `Settings()` is the defaults and reads nothing; `load` reads the sources."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTING, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    data: Path = Path("data")
    """Folder that holds what the gateway keeps; relative to the working directory."""
    server: Server = Server()
    """Where to listen."""
    log: Log = Log()
    """What to write."""
    limits: Limits = Limits()
    """What to refuse."""
    cache: Cache = Cache()
    """What to remember."""
    pixels: Pixels = Pixels()
    """What to decode and draw."""
    healthcare: Healthcare = Healthcare()
    """What Google's clients may do."""
    emulator: Emulator = Emulator()
    """Errors on purpose."""
    stores: dict[str, Store] = Field({}, validate_default=True)
    """Store name -> store; "default" always exists and is served at /dicom-web, the others at /stores/NAME/dicom-web."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only constructor arguments: `load` merges the sources, so that an error can name the one at fault."""
        return (init_settings,)

    @field_validator("stores")
    @classmethod
    def _stores(cls, stores: dict[str, Store], info: ValidationInfo) -> dict[str, Store]:
        """Adds the default store, and gives every store without a root a folder below `data`."""
        data = info.data.get("data", Path())
        named = {name: _rooted(name, store, data) for name, store in ({"default": Store()} | stores).items()}
        for name in named:
            if _STORE_NAME.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no store name: up to 63 of a-z 0-9 . - and single _, starting with a letter or digit")
        roots = [store.root.absolute() for store in named.values() if store.keeps_files]
        if len(set(roots)) < len(roots):
            raise ValueError("two stores have the same root; each needs its own")
        for name, store in named.items():
            _check_names(name, store, named)
        return named

    @model_validator(mode="after")
    def _one_process_a_memory(self) -> Settings:
        if self.server.workers > 1 and self._forgetful:
            raise ValueError('backend = "memory" lives in one process; set server.workers to 1')
        return self

    @model_validator(mode="after")
    def _one_token_for_one_reader(self) -> Settings:
        passing = [name for name, store in self.stores.items() if store.credentials.kind == "pass_through"]
        if passing and self.server.token_file is not None:
            raise ValueError(
                f"stores.{passing[0]}: pass_through shows the origin what callers send, which would be the gateway's own tokens; "
                "leave server.token_file out"
            )
        return self

    @property
    def workers(self) -> int:
        """How many processes serve: as configured, or what CPUs and memory of the cgroup allow."""
        if self.server.workers:
            return self.server.workers
        if self._forgetful:
            return 1
        memory = cgroup.granted_memory()
        room = cgroup.granted_cpus() if memory is None else memory // _MEMORY_A_WORKER
        return max(1, min(cgroup.granted_cpus(), room))

    @property
    def pixel_processes(self) -> int:
        """How many pixel processes a worker may have: as configured, or its share of the CPUs, at least 1."""
        return self.pixels.processes or max(1, cgroup.granted_cpus() // self.workers)

    @property
    def _forgetful(self) -> bool:
        return any(store.backend == "memory" for store in self.stores.values())


def _check_names(name: str, store: Store, stores: Mapping[str, Store]) -> None:
    """:raises ValueError: when a store names one that is not there or cannot be what it is named for."""
    routed = {one for route in store.routes for one in route.to}
    unknown = sorted({*store.members, *routed} - stores.keys())
    if unknown:
        raise ValueError(f"{name}: there is no store {unknown[0]!r}")
    if name in store.members or any(stores[one].backend == "federation" for one in store.members):
        raise ValueError(f"{name}: the members of a federation are other stores, and no federations")
    if any(stores[one].backend == "federation" or (one != name and stores[one].delivery == "spool") for one in routed):
        raise ValueError(f"{name}: instances are delivered to stores that keep them, not to a federation or another spool")


def _rooted(name: str, store: Store, data: Path) -> Store:
    return store if "root" in store.model_fields_set else store.model_copy(update={"root": data / name})


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings from all sources.

    :param path: a TOML file; None reads none.
    :param overrides: flags of the command line, nested as the file is: ``{"server": {"port": 8081}}``.
    :raises ConfigError: when a source cannot be read or says something that is not understood.
    """
    layers: dict[str, dict[str, Any]] = {
        str(path): _read_toml(path) if path else {},
        ENVIRONMENT: _read_environment(),
        "command line": dict(overrides or {}),
    }
    merged: dict[str, Any] = {}
    for layer in layers.values():
        merged = _merge(merged, layer)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise ConfigError(explain(error, Settings, layers)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None


class _Environment(EnvSettingsSource):
    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """What is no JSON is left to the field: lists may be written with commas."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _read_environment() -> dict[str, Any]:
    """The nested values of GATEWAY_* variables; unknown ones are kept, so that validation can name them."""
    values: dict[str, Any] = _Environment(Settings)()
    for name in os.environ:
        if name.upper().startswith(PREFIX) and NESTING in name:
            section = name.upper().removeprefix(PREFIX).lower().split(NESTING)[0]
            values.setdefault(section, {})
    return values


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; anything else in `above` replaces what is below."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        merged[key] = _merge(lower, value) if isinstance(lower, Mapping) and isinstance(value, Mapping) else value
    return merged
