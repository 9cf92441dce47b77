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
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from gateway import cgroup
from gateway.hints import ENVIRONMENT, NESTING, PREFIX, explain
from gateway.sections.base import MIB, refuse_no_path
from gateway.sections.google import Emulator, Healthcare
from gateway.sections.limits import Cache, Limits
from gateway.sections.notifications import Notifications
from gateway.sections.pixels import Pixels
from gateway.sections.server import Log, Server
from gateway.sections.stores import Store

# A worker idles at about 85 MiB and may hold 32 MiB of bodies, its pixel process idles at 80 and needs some tens for a picture;
# as much again is room for the page cache that they live on.
_MEMORY_A_WORKER = 384 * MIB

# Lower case only: environment variables must be able to name every store. The name also appears in URLs.
_STORE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]|_(?!_)){0,62}")


class ConfigError(Exception):
    """The settings do not make sense; the message names source and key, one line a fault."""


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
    notifications: Notifications = Notifications()
    """How others are told what is stored and deleted."""
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

    @field_validator("data", mode="before")
    @classmethod
    def _data(cls, data: Any) -> Any:
        refuse_no_path(data)
        return data

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
    def _own_files_are_nobody_s(self) -> Settings:
        own = [self.data.absolute(), *(store.root.absolute() for store in self.stores.values() if store.keeps_files)]
        for folder in self.healthcare.folders:
            if any(folder == one or folder in one.parents or one in folder.parents for one in own):
                raise ValueError(f"healthcare.folders: {folder} holds, or is in, what the gateway itself keeps; name another one")
        return self

    @model_validator(mode="after")
    def _one_token_for_one_reader(self) -> Settings:
        origins = {f"stores.{name}": store.credentials for name, store in self.stores.items()}
        origins |= {f"healthcare.relays.{name}": relay.credentials for name, relay in self.healthcare.relays.items()}
        passing = [name for name, shown in origins.items() if shown.kind == "pass_through"]
        if passing and self.server.token_file is not None:
            raise ValueError(
                f"{passing[0]}: pass_through shows the origin what callers send, which would be the gateway's own tokens; "
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
    if any(stores[one].credentials.kind == "pass_through" for one in routed):
        raise ValueError(f"{name}: instances are delivered when their sender has left, so destinations need credentials of their own")


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
