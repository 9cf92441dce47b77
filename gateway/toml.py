"""Settings as TOML text: the effective ones for people who wonder, and the reference that config/gateway.toml is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import orjson
from pydantic import BaseModel, ByteSize

from gateway.config import Settings
from gateway.sections.base import Section
from gateway.sections.google import Emulator, Healthcare
from gateway.sections.limits import Cache, Limits
from gateway.sections.notifications import Notifications
from gateway.sections.pixels import Pixels
from gateway.sections.server import Log, Server
from gateway.sections.stores import Credentials, Origin, Spool, Store, foreign_keys

_HEAD = """\
# Every key, its default and why. Written by `dicomweb-gateway check-config --reference`; a start of your own needs only
# the keys that differ. Each can also come from the environment, which wins: GATEWAY_SERVER__PORT, GATEWAY_STORES__NAME__ROOT;
# lists with commas. Sizes are bytes ("64MiB" is understood), times are seconds. Unknown keys are refused.
"""

_ROUTE = """\
# Where instances of a kind are delivered; as many of these tables as there are routes.
# [[stores.default.routes]]
# when = { Modality = "MR", InstitutionName = "North*" }
# to = ["default", "research"]"""

_NOTIFY = """\
# Who is told what is stored and deleted: a webhook or a topic; as many of these tables as there are receivers.
# [[stores.default.notify]]
# webhook = "https://example.org/hook"
# secret_file = "/run/secrets/hook"
# [[stores.default.notify]]
# pubsub_topic = "projects/PROJECT/topics/TOPIC"
# send_for_bulk_import = true"""

_RELAY = """\
# A project that is bound to the real API: requests below it pass through. With location and dataset that dataset alone;
# credentials (Google's own, by default) and origin as for stores; stores: how many DICOM stores of it are open at once.
# [healthcare.relays.cloud]
# project = "my-project"
# url = "https://healthcare.googleapis.com"
# cache = true
# stores = 32"""


def effective(settings: Settings) -> str:
    """The settings that are in force, as a file that `config.load` reads back to equal ones.

    Secrets are asterisks; keys without a value are left out.
    """
    top = {name: value for name, value in settings if not isinstance(value, BaseModel | Mapping)}
    tables = {name: value for name, value in settings if isinstance(value, BaseModel)}
    stores = {f"stores.{_key(name)}": store for name, store in settings.stores.items()}
    return "\n".join(["\n".join(_lines(top)), *(text for name, table in (tables | stores).items() for text in _table(name, table)), ""])


def _table(name: str, table: BaseModel) -> Iterator[str]:
    """A table with the tables below it; of those below, the ones that say something."""
    below = {key for key, value in table if isinstance(value, BaseModel | dict) or _of_tables(value)}
    foreign = foreign_keys(table.backend) if isinstance(table, Store) else frozenset()
    yield f"\n[{name}]\n" + "\n".join(_lines({key: value for key, value in table if key not in below | foreign}))
    for key in sorted(below):
        value = getattr(table, key)
        if value == type(table).model_fields[key].default:
            continue
        if isinstance(value, BaseModel):
            yield from _table(f"{name}.{key}", value)
        elif isinstance(value, dict) and any(isinstance(one, BaseModel) for one in value.values()):
            for inner, one in value.items():
                yield from _table(f"{name}.{key}.{_key(inner)}", one)
        elif isinstance(value, dict):
            yield f"\n[{name}.{key}]\n" + "\n".join(_lines(value))
        else:
            for one in value:
                first, *others = _table(f"{name}.{key}", one)
                yield first.replace(f"[{name}.{key}]", f"[[{name}.{key}]]", 1)
                yield from others


def _of_tables(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(one, BaseModel) for one in value)


def origin_table(name: str, url: str, profile: str, overrides: Mapping[str, Any]) -> str:
    """The table of an upstream store, with what its origin does otherwise than the profile says."""
    table = f"[stores.{_key(name)}]\n" + "\n".join(_lines({"backend": "upstream", "url": url, "profile": profile})) + "\n"
    return table + (f"\n[stores.{_key(name)}.overrides]\n" + "\n".join(_lines(overrides)) + "\n" if overrides else "")


def reference() -> str:
    """Every key with its default, under the line that says why."""
    kinds: dict[str, type[Section]] = {
        "server": Server,
        "log": Log,
        "limits": Limits,
        "cache": Cache,
        "pixels": Pixels,
        "healthcare": Healthcare,
        "emulator": Emulator,
        "notifications": Notifications,
        "stores.default": Store,
        "stores.default.credentials": Credentials,
        "stores.default.origin": Origin,
        "stores.default.spool": Spool,
    }
    data = "\n".join(_described(Settings, ["data"]))
    tables = (f"{_comment(_summary(kind))}\n[{name}]\n" + "\n".join(_described(kind)) for name, kind in kinds.items())
    return "\n\n".join([_HEAD + "\n" + data, *tables, _ROUTE, _NOTIFY, _RELAY]) + "\n"


def _described(model: type[BaseModel], names: list[str] | None = None) -> Iterator[str]:
    for name in names or model.model_fields:
        field = model.model_fields[name]
        if isinstance(field.get_default(), BaseModel) or name in ("routes", "notify"):
            continue  # a table of its own
        yield _comment(f"{field.description}{_choices(field.annotation)}")
        value = field.get_default()
        # What has no default, or one that depends on other keys, is shown as a comment to fill in.
        if value == {}:
            yield f"# {name} = {{}}"
            continue
        yield f'# {name} = ""' if value is None or "<" in str(value) else f"{_key(name)} = {_value(value)}"


def _choices(kind: Any) -> str:
    words = [f'"{word}"' for word in get_args(kind) if isinstance(word, str)]
    return f" ({' | '.join(words)})" if words else ""


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").splitlines()[0]


def _comment(text: str) -> str:
    return textwrap.fill(text, 118, initial_indent="# ", subsequent_indent="# ")


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{_key(name)} = {_value(value)}" for name, value in table.items() if value is not None)


def _key(name: str) -> str:
    return name if name.replace("-", "a").replace("_", "a").isalnum() else _text(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case ByteSize():
            return _size(value)
        case int() | float():
            return str(int(value) if value == int(value) else value)
        case tuple():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return _text(str(value))  # a SecretStr turns itself into asterisks


def _size(value: int) -> str:
    """`value` in the largest unit that divides it."""
    for bits, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value and value % (1 << bits) == 0:
            return _text(f"{value >> bits}{unit}")
    return str(value)


def _text(text: str) -> str:
    return orjson.dumps(text).decode()  # a JSON string is a TOML basic string
