"""Burned-in text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.dicomweb.rendering import Annotation, Rendering
from gateway.pixels.render.annotations import burned, corners, drawable, name
from gateway.pixels.render.dataset import SHARED, Attributes
from tests.pixels.render.subject import said

ABOVE_LEFT, ABOVE_RIGHT, BELOW_LEFT, BELOW_RIGHT = (False, False), (True, False), (False, True), (True, True)
BOTH = Rendering(annotation=("patient", "technique"))
DATA = said({"00100020": "ID-7", "00100030": "19700131", "00100040": "F", "00080020": "20240131", "00080030": "101112.5"})
TECHNIQUE = {"00080060": "CT", "00180060": 120, "00180050": "1.25", "00200011": 2, "00200013": 17, "0008103E": "Abdomen", "00280008": 3}


def named(value: Any) -> Attributes:
    return Attributes({"00100010": {"vr": "PN", "Value": [value]}})


def test_who_and_when() -> None:
    found = corners(DATA, Rendering(annotation=("patient",)), 1)
    assert found == {ABOVE_LEFT: ["", "ID-7", "1970-01-31  F"], ABOVE_RIGHT: ["", "2024-01-31  10:11", "", ""]}


def test_how_and_which() -> None:
    found = corners(said(TECHNIQUE), Rendering(annotation=("technique",)), 2)
    assert found == {BELOW_LEFT: ["CT", "120 kV", "", "1.25 mm"], BELOW_RIGHT: ["Abdomen", "Se 2  Im 17  Fr 2/3"]}
    shared = said({SHARED: [said(_00289110=[said(_00180050=3)])]})
    assert corners(shared, Rendering(annotation=("technique",)), 1)[BELOW_LEFT][-1] == "3 mm"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Alphabetic": "Doe^Jane^Q^Dr"}, "Doe, Jane Q Dr"),
        ({"Alphabetic": "Doe"}, "Doe"),
        ("Doe^Jane", "Doe, Jane"),
        ({"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}, "Yamada, Tarou"),
        ({"Ideographic": "山田^太郎", "Phonetic": "Yamada^Tarou"}, "Yamada, Tarou"),
        ({"Alphabetic": "^^^"}, ""),
        ({"Ideographic": "山田^太郎"}, ""),
        (None, ""),
        (7, ""),
    ],
)
def test_names_for_people(value: Any, expected: str) -> None:
    assert name(named(value), "00100010") == expected


def test_letters_that_the_font_has_not() -> None:
    assert drawable("Müller-Łoś, Žaneta ß") == "Muller-Los, Zaneta ss"
    assert drawable("a\0\tb 田 c") == "ab ? c"


@pytest.mark.parametrize("shape", [(256, 256), (256, 256, 3), (40, 600), (16, 16), (3, 3)])
def test_text_is_where_it_belongs(shape: tuple[int, ...]) -> None:
    grey = np.full(shape, 120, np.uint8)
    both = Attributes({**DATA.data, **said(TECHNIQUE).data, **named({"Alphabetic": "Doe^Jane"}).data})
    found = burned(grey, both, BOTH)
    assert found.shape == shape and (grey == 120).all()
    if min(shape[:2]) < 100:
        return
    for annotation, corner in (("patient", found[:80, :128]), ("patient", found[:80, 128:]), ("technique", found[-80:, :128])):
        assert corner.max() > 230 and corner.min() < 30, annotation
    middle = found[100:170]
    assert (middle == 120).all()


@pytest.mark.parametrize(("asked", "place"), [("patient", slice(128, None)), ("technique", slice(0, 128))])
def test_only_what_was_asked_for(asked: Annotation, place: slice) -> None:
    grey = np.full((256, 256), 120, np.uint8)
    found = burned(grey, DATA, Rendering(annotation=(asked,)))
    assert (found[place] == 120).all()
    assert burned(grey, DATA, Rendering()) is grey


def test_long_lines_end_before_the_other_side() -> None:
    grey = np.full((200, 200), 120, np.uint8)
    long = burned(grey, said({"00100020": "W" * 300}), Rendering(annotation=("patient",)))
    assert (long[:, 105:] == 120).all() and (long[:, 60:100] != 120).any()
