from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.hints import ENVIRONMENT, explain, known_keys


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: str = "red"
    size: int = 1


class Needed(BaseModel):
    key: str


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner = Inner()
    named: dict[str, Inner] = {}
    several: tuple[Inner, ...] = ()
    needed: Needed | None = None


def explained(layers: dict[str, dict[str, Any]], values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as error:
        Outer(**values)
    return explain(error.value, Outer, layers)


def test_the_last_layer_that_holds_the_key_is_named() -> None:
    values = {"inner": {"size": "x"}}
    assert explained({"a": values, "b": values, "c": {}}, values).startswith("b: inner.size: must be a valid integer")


def test_a_key_of_the_environment_is_spelled_as_its_variable() -> None:
    values = {"inner": {"size": "x"}}
    assert explained({ENVIRONMENT: values}, values).startswith("environment: GATEWAY_INNER__SIZE: ")


def test_the_nearest_key_of_the_same_table_is_offered() -> None:
    values = {"inner": {"color": "x"}, "named": {"free": {"sise": 1}}}
    assert explained({"f": values}, values).splitlines() == [
        "f: inner.color: unknown key, did you mean colour?",
        "f: named.free.sise: unknown key, did you mean size?",
    ]


def test_a_key_in_one_of_several_tables_is_named_and_the_nearest_offered() -> None:
    values = {"several": [{}, {"sise": 1}]}
    assert explained({"f": values}, values) == "f: several.sise: unknown key, did you mean size?"


def test_a_key_that_is_missing_is_missing_where_its_table_is() -> None:
    values: dict[str, Any] = {"needed": {}}
    assert explained({"f": values, "g": {}}, values) == "f: needed.key: has to be set"


def test_nothing_is_offered_when_nothing_is_near() -> None:
    values = {"qqqq": 1}
    assert explained({"f": values}, values) == "f: qqqq: unknown key"


def test_a_value_is_never_repeated() -> None:
    values = {"inner": {"size": "hunter2"}}
    assert "hunter2" not in explained({"f": values}, values)


def test_known_keys_look_through_named_tables() -> None:
    assert known_keys(Outer, []) == ["inner", "named", "several", "needed"]
    assert known_keys(Outer, ["named", "anything"]) == ["colour", "size"]
    assert known_keys(Outer, ["named"]) == []
