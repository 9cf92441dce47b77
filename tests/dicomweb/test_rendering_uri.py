"""The parameters of WADO-URI: names, pairs, defaults, and refusals that name what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dicomweb.rendering import MAX_SIDE, Rendering, Viewport, Window
from gateway.dicomweb.rendering_uri import NEEDED, PARAMETERS, Asked, parse_uri
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest

ALWAYS = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.1.1", "objectUID": "1.1.1.1"}


def parsed(**more: str) -> Asked:
    return parse_uri({**ALWAYS, **more}.items())


def test_an_instance_is_named_by_three_uids() -> None:
    assert parsed() == Asked(Resource("1.1", "1.1.1", "1.1.1.1"), None, None, Rendering())


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(BadRequest, match=name):
        parse_uri([pair for pair in ALWAYS.items() if pair[0] != name])
    with pytest.raises(BadRequest, match=name):
        parsed(**{name: ""})


def test_names_may_be_in_lower_case() -> None:
    asked = {**ALWAYS, "contentType": "image/png", "windowCenter": "40", "windowWidth": "400", "frameNumber": "2", "transferSyntax": "*"}
    assert parse_uri([(name.lower(), value) for name, value in asked.items()]) == parse_uri(asked.items())
    assert len({name.lower() for name in PARAMETERS}) == len(PARAMETERS)


def test_what_nobody_knows_is_passed_over() -> None:
    assert parsed(foo="1", access_token="secret", charset="ISO_IR 100") == parsed()


@pytest.mark.parametrize("value", ["wado", "", "MIMA"])
def test_no_other_request_is_known(value: str) -> None:
    with pytest.raises(BadRequest, match="requestType"):
        parsed(requestType=value)


@pytest.mark.parametrize("name", ["studyUID", "seriesUID", "objectUID", "transferSyntax"])
@pytest.mark.parametrize("value", ["1..2", "../../etc", "1.2\0", "x" * 65])
def test_uids_are_uids(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name) as error:
        parsed(**{name: value})
    assert value not in error.value.message


def test_a_parameter_has_one_value() -> None:
    assert parse_uri([*ALWAYS.items(), ("studyuid", "1.1")]) == parsed()
    with pytest.raises(BadRequest, match="studyUID is given twice"):
        parse_uri([*ALWAYS.items(), ("studyUID", "1.2")])


@pytest.mark.parametrize(
    ("more", "rendering"),
    [
        ({"rows": "100", "columns": "200"}, Rendering(Viewport(200, 100))),
        ({"rows": "100"}, Rendering(Viewport(MAX_SIDE, 100))),
        ({"columns": "200"}, Rendering(Viewport(200, MAX_SIDE))),
        ({"windowCenter": "-40.5", "windowWidth": "400"}, Rendering(window=Window(-40.5, 400))),
        ({"region": "0.1,0.2,0.5,1.0"}, Rendering(region=(0.1, 0.2, 0.5, 1.0))),
        ({"region": "0,0.0,1,1.0"}, Rendering()),
        ({"imageQuality": "70"}, Rendering(quality=70)),
        ({"annotation": "technique,patient"}, Rendering(annotation=("patient", "technique"))),
        ({"presentationUID": "1.9.2", "presentationSeriesUID": "1.9"}, Rendering(presentation=("1.9", "1.9.2"))),
    ],
)
def test_how_it_is_shown(more: dict[str, str], rendering: Rendering) -> None:
    assert parsed(**more).rendering == rendering


def test_annotations_that_are_not_known_are_told() -> None:
    assert parsed(annotation="birthday").rendering.warnings == ("The following annotation values are not supported: birthday",)


def test_how_it_is_given() -> None:
    asked = parsed(contentType="application/dicom", transferSyntax="1.2.840.10008.1.2.4.70", frameNumber="3")
    assert (asked.content_type, asked.syntax, asked.resource.frames) == ("application/dicom", "1.2.840.10008.1.2.4.70", (3,))
    assert parsed(transferSyntax="*").syntax == "*"


@pytest.mark.parametrize(
    ("named", "more"),
    [
        ("rows", {"rows": "0"}),
        ("columns", {"columns": "1.5"}),
        ("columns", {"rows": "5", "columns": "65536"}),
        ("region", {"region": "0,0,1"}),
        ("region", {"region": "0,0,1.1,1"}),
        ("region", {"region": "-0.1,0,1,1"}),
        ("region", {"region": "0.5,0,0.5,1"}),
        ("region", {"region": "0,0.9,1,0.1"}),
        ("region", {"region": "a,b,c,d"}),
        ("region", {"region": ""}),
        ("windowWidth", {"windowCenter": "40"}),
        ("windowCenter", {"windowWidth": "40"}),
        ("windowCenter", {"windowCenter": "x", "windowWidth": "400"}),
        ("windowWidth", {"windowCenter": "40", "windowWidth": "0"}),
        ("imageQuality", {"imageQuality": "0"}),
        ("imageQuality", {"imageQuality": "101"}),
        ("frameNumber", {"frameNumber": "0"}),
        ("frameNumber", {"frameNumber": "1,2"}),
        ("presentationSeriesUID", {"presentationUID": "1.9.2"}),
        ("presentationUID", {"presentationSeriesUID": "1.9"}),
        ("presentationUID", {"presentationUID": "x", "presentationSeriesUID": "1.9"}),
        ("presentationUID", {"presentationUID": "1", "presentationSeriesUID": "1", "windowCenter": "1", "windowWidth": "1"}),
        ("anonymize", {"anonymize": "yes"}),
    ],
)
def test_what_is_wrong_is_named(named: str, more: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=named):
        parsed(**more)
