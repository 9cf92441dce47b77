from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.dicomweb.reasons import Reason


def tree(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_the_drawing_shows_every_error_and_its_status() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d{3})", errors.__doc__ or ""))
    built = {kind.__name__: str(kind.status) for kind in tree(errors.GatewayError) if kind is not errors.GatewayError}
    assert drawn == built


def test_every_class_of_the_module_is_in_the_tree() -> None:
    classes = {c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__}
    assert classes == {*tree(errors.GatewayError), errors.InstanceError}


def test_an_error_carries_its_message() -> None:
    assert errors.NotFound("no such study").message == str(errors.NotFound("no such study")) == "no such study"


def test_statuses_are_client_or_server_errors() -> None:
    assert all(400 <= kind.status <= 599 for kind in tree(errors.GatewayError))


def test_a_wrong_boundary_is_a_bad_request() -> None:
    with pytest.raises(errors.BadRequest):
        raise errors.MalformedMultipart("no boundary")


def test_range_error_knows_the_size_and_busy_when_to_come_back() -> None:
    assert errors.RangeNotSatisfiable("beyond the end", 100).size == 100
    assert errors.Busy("full").retry_after == 1
    assert errors.Busy("full", 30).retry_after == 30


def test_a_refused_instance_is_no_status() -> None:
    error = errors.InstanceError(Reason.CANNOT_UNDERSTAND, "is empty", 0x0020000D)
    assert not isinstance(error, errors.GatewayError)
    assert (error.reason, error.tag, error.message, str(error)) == (0xC000, 0x0020000D, "(0020,000D): is empty", "(0020,000D): is empty")
    assert (error.sop, error.sop_class) == (None, None)


def test_a_refused_instance_without_a_tag() -> None:
    assert errors.InstanceError(Reason.OUT_OF_RESOURCES, "no room").message == "no room"
