from __future__ import annotations

from typing import Any

import pytest

from gateway.backends.spool.routing import META_HEAD, Route, Router, meta_attributes
from tests.backends.made import dicom

CT = {"00080060": {"vr": "CS", "Value": ["CT"]}, "00080080": {"vr": "LO", "Value": ["North Hospital"]}}
MR = {"00080060": {"vr": "CS", "Value": ["MR"]}, "00081010": {"vr": "SH", "Value": ["ROOM2"]}}
PLACES = ("default", "research", "cloud", "teaching")


def router(*routes: Route, own: str = "default") -> Router:
    return Router(routes, PLACES, own)


def test_without_routes_everything_goes_to_the_own_origin() -> None:
    assert Router((), ("default",), "default").fixed == ("default",)
    assert router().destinations(CT) == ("default",) == router().read
    assert Router((), ("a", "b"), "default").fixed == ("a", "b")


@pytest.mark.parametrize(
    ("when", "attributes", "matches"),
    [
        ({"Modality": "CT"}, CT, True),
        ({"Modality": "CT,SR"}, CT, True),
        ({"00080060": "MR"}, CT, False),
        ({"InstitutionName": "North*"}, CT, True),
        ({"InstitutionName": "north*"}, CT, False),
        ({"Modality": "MR", "StationName": "ROOM?"}, MR, True),
        ({"Modality": "MR", "StationName": "ROOM1"}, MR, False),
        ({"StationName": "*"}, CT, True),
        ({}, MR, True),
    ],
)
def test_all_attributes_have_to_match_as_in_a_search(when: dict[str, str], attributes: dict[str, Any], matches: bool) -> None:
    assert router(Route(when, ("research",))).destinations(attributes) == (("research",) if matches else ("default",))


def test_all_routes_count_each_destination_once() -> None:
    both = router(Route({"Modality": "CT"}, ("research", "cloud")), Route({"InstitutionName": "North*"}, ("cloud", "default")))
    assert both.destinations(CT) == ("research", "cloud", "default")
    assert both.destinations(MR) == ("default",) and both.fixed is None


def test_the_default_is_what_no_route_names_where_there_is_no_own_origin() -> None:
    elsewhere = router(Route({"Modality": "CT"}, ("research", "default")), own="other")
    assert elsewhere.default == ("cloud", "teaching")


def test_reads_ask_those_that_may_have_something_alone() -> None:
    copies = Route({"Modality": "CT"}, ("default", "teaching"))
    assert router(copies).read == ("default",)
    assert router(copies, Route({"Modality": "MR"}, ("research",)), Route({"Modality": "SR"}, ("cloud", "research"))).read == (
        "default",
        "research",
        "cloud",
    )


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (Route({"Modality": "CT"}, ("nowhere",)), "route 1 leads to nowhere"),
        (Route({"Modalty": "CT"}, ("cloud",)), "route 1: Modalty is no attribute"),
        (Route({"ModalitiesInStudy": "CT"}, ("cloud",)), "worked out"),
        (Route({"StudyDate": "yesterday"}, ("cloud",)), "route 1: StudyDate"),
        (Route({"PixelData": "x"}, ("cloud",)), "route 1: PixelData"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(route: Route, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        router(route)


def test_everything_must_have_somewhere_to_go() -> None:
    with pytest.raises(ValueError, match="no destination for what no route matches"):
        Router([Route({"Modality": "CT"}, ("a",))], ("a",), "default")
    assert Router([Route({"Modality": "CT"}, ("a",)), Route({}, ("a",))], ("a",), "default").destinations(MR) == ("a",)


def test_the_sending_application_stands_in_the_file_meta_information() -> None:
    from_ae = router(Route({"SourceApplicationEntityTitle": "CT_*"}, ("research",)))
    assert from_ae.meta == {0x00020016}
    data = dicom()
    at = data.index(b"\x02\x00\x12\x00UI")
    element = b"\x02\x00\x16\x00AE\x06\x00CT_ONE"
    sent = data[:at] + element + data[at:]
    found = meta_attributes(sent[:META_HEAD], from_ae.meta)
    assert found == {"00020016": {"vr": "AE", "Value": ["CT_ONE"]}}
    assert from_ae.destinations(CT | found) == ("research",)
    assert from_ae.destinations(CT | meta_attributes(data[:META_HEAD], from_ae.meta)) == ("default",)
    assert meta_attributes(b"nothing", from_ae.meta) == {}
