"""Turns what pydantic found wrong with the settings into lines for people: source, key, fault, nearest known key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

PREFIX = "GATEWAY_"
NESTING = "__"
ENVIRONMENT = "environment"
"""The name of the layer whose keys are variables."""


_PLAINER = {
    "byte_size": 'must be a number of bytes, such as 65536 or "64KiB"',
    "byte_size_unit": 'must be a number of bytes, such as 65536 or "64KiB"',
    "missing": "has to be set",
    "model_type": "must be a table of keys",
}
"""What is said in place of pydantic's sentence, by kind of fault."""


def explain(error: ValidationError, model: type[BaseModel], layers: dict[str, dict[str, Any]]) -> str:
    """One line a fault, such as ``gateway.toml: server.prot: unknown key, did you mean port?``.

    :param model: the whole settings.
    :param layers: source -> its nested values, the one that wins last; the last that holds the key is named.
    """
    return "\n".join(_line(fault["type"], fault["loc"], fault["msg"], model, layers) for fault in error.errors(include_input=False))


def _line(kind: str, where: tuple[int | str, ...], message: str, model: type[BaseModel], layers: dict[str, dict[str, Any]]) -> str:
    path = [part for part in where if isinstance(part, str)]
    place = where[:-1] if kind == "missing" else where
    source = next((name for name in reversed(layers) if _holds(layers[name], place)), None)
    name = PREFIX + NESTING.join(path).upper() if source == ENVIRONMENT else ".".join(path)
    text = _unknown(path, model) if kind == "extra_forbidden" else _plain(kind, message)
    return ": ".join(filter(None, (source, name, text)))


def _holds(layer: dict[str, Any], path: Sequence[int | str]) -> bool:
    here: Any = layer
    for key in path:
        if isinstance(key, int):
            if not isinstance(here, list) or key >= len(here):
                return bool(here)  # a list that was written as text
        elif not isinstance(here, Mapping) or key not in here:
            return False
        here = here[key]
    return bool(path)


def _unknown(path: list[str], model: type[BaseModel]) -> str:
    near = get_close_matches(path[-1].lower(), known_keys(model, path[:-1]), n=1, cutoff=0.5)
    return f"unknown key, did you mean {near[0]}?" if near else "unknown key"


def known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys of the table at `path`."""
    here: Any = model
    for key in path:
        # In a dict of tables the key is a free name, and the type of the values says what is inside.
        here = here.model_fields[key].annotation if _is_table(here) else get_args(here)[1]
        here = get_args(here)[0] if get_origin(here) is tuple else here
    return list(here.model_fields) if _is_table(here) else []


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _plain(kind: str, message: str) -> str:
    """Pydantic's sentence without its "Input" and "Value error"."""
    if kind in _PLAINER:
        return _PLAINER[kind]
    for prefix, instead in (("Value error, ", ""), ("Input should be ", "must be ")):
        if message.startswith(prefix):
            return instead + message.removeprefix(prefix)
    return message
