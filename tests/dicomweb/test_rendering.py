"""Rendering parameters: what each may be, that equal wishes are equal values, and what is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.rendering import (
    AS_IT_IS,
    FUNCTIONS,
    LARGEST,
    PARAMETERS,
    ColourSpace,
    Rendering,
    Viewport,
    Window,
    parse_rendering,
    undivided,
)
from gateway.errors import BadRequest


def parsed(query: str, names: tuple[str, ...] = PARAMETERS) -> Rendering:
    """What a URL with this query asks for."""
    return parse_rendering(parse_qsl(query, keep_blank_values=True), names)


def test_who_says_nothing_gets_it_as_it_is() -> None:
    assert parsed("") == AS_IT_IS
    assert parsed("accept=image%2Fjpeg&Viewport=1,1&size=3&access_token=secret") == AS_IT_IS


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("128,64", Viewport(128, 64)),
        ("128%2C64", Viewport(128, 64)),
        ("128,64,,,,", Viewport(128, 64)),
        ("128,64,0,0,,", Viewport(128, 64)),
        ("128,64,-0.0,0.,,", Viewport(128, 64)),
        ("128,64,10,,,", Viewport(128, 64, (10, None, None, None))),
        ("128,64,10", Viewport(128, 64, (10, None, None, None))),
        ("128,64,,20", Viewport(128, 64, (None, 20, None, None))),
        ("128,64,10,20,-30", Viewport(128, 64, (10, 20, -30, None))),
        ("128,64,-10,-2.5,30,40", Viewport(128, 64, (10, 2.5, 30, 40))),
        ("128,64,0,0", Viewport(128, 64)),
        ("128,64,,", Viewport(128, 64)),
        ("128,64,,,-512,", Viewport(128, 64, (None, None, -512, None))),
        ("128,64,1.5,2.25,-10,-20", Viewport(128, 64, (1.5, 2.25, -10, -20))),
        ("128, 64, 1e1, +2, 30, 40", Viewport(128, 64, (10, 2, 30, 40))),
        ("65535,1", Viewport(65535, 1)),
    ],
)
def test_viewports(text: str, viewport: Viewport) -> None:
    found = parsed(f"viewport={text}")
    assert (found, hash(found)) == (Rendering(viewport), hash(Rendering(viewport)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("viewport=128,64", "viewport=0128,64,-0.0,0,,"),
        ("viewport=9,9,1,2.50,-3,", "viewport=9, 9,+1.,2.5,-3e0,"),
        ("window=0,400,linear", "window=-0.0,4e2,linear"),
        ("annotation=patient,technique", "annotation=technique&annotation=patient"),
    ],
)
def test_equal_wishes_are_written_alike(one: str, other: str) -> None:
    """Caches on disk go by it."""
    assert repr(parsed(one)) == repr(parsed(other))


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "128", "128,", ",64", "0,64", "128,-64", "128,64.5", "a,b", "65536,1", "1,99999999999", "128;64", "\u0661,1"),
        *("128,64,0,0,1,1,1", "128,64,,,,,", "128,64,,,0", "128,64,,,0,", "128,64,,,,0.0"),
        *("128,64,x,,,", "128,64,nan,,,", "128,64,inf,,,", "128,64,,,1e31,", "128,64,,,1_0,", "128,64,0x1,,,", "128,64,,,1e999,"),
    ],
)
def test_viewports_that_are_none(text: str) -> None:
    refused("viewport", text)


def refused(name: str, text: str) -> None:
    """The value itself is not told to anybody."""
    with pytest.raises(BadRequest, match=name) as error:
        parse_rendering([(name, text)])
    assert len(text) < 4 or text not in error.value.message


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400,linear", Window(40, 400, "LINEAR")),
        ("-600.50,1.5e3,linear-exact", Window(-600.5, 1500, "LINEAR_EXACT")),
        ("0,0.25,sigmoid", Window(0, 0.25, "SIGMOID")),
        ("-0,1,linear", Window(0, 1, "LINEAR")),
        (".5,+4096.,linear", Window(0.5, 4096, "LINEAR")),
    ],
)
def test_windows(text: str, window: Window) -> None:
    assert parsed(f"window={text}") == Rendering(window=window)


@pytest.mark.parametrize(
    "text",
    [
        *("", "40", "40,400", "40,400,", ",,linear", "40,400,LINEAR", "40,400,cubic", "40,400,linear,1", "a,400,linear", "40,,linear"),
        *("40,0,linear", "40,0.5,linear", "40,-1,linear", "40,0,sigmoid", "40,-2,linear-exact", "nan,1,linear", "40,inf,sigmoid"),
    ],
)
def test_windows_that_are_none(text: str) -> None:
    refused("window", text)


@pytest.mark.parametrize(("text", "quality"), [("1", 1), ("100", 100), ("085", 85), (" 7", 7)])
def test_qualities(text: str, quality: int) -> None:
    assert parsed(f"quality={text}") == Rendering(quality=quality)


@pytest.mark.parametrize("text", ["", "0", "101", "-5", "50.5", "best", "\u0665", "9" * 5000])
def test_qualities_that_are_none(text: str) -> None:
    refused("quality", text)


@pytest.mark.parametrize("text", ["patient,technique", "technique,patient", "technique, patient,patient", "technique&annotation=patient"])
def test_annotations_have_no_order(text: str) -> None:
    assert parsed(f"annotation={text}") == Rendering(annotation=("patient", "technique"))


@pytest.mark.parametrize(
    ("text", "known", "said"),
    [
        ("birth,patient,AGE", ("patient",), "AGE, birth"),
        ("Patient", (), "Patient"),
        (",".join(f"a{number:02}" for number in range(50)), (), ", ".join(f"a{number:02}" for number in range(8))),
    ],
)
def test_annotations_that_are_not_known_are_told(text: str, known: tuple[str, ...], said: str) -> None:
    """They are no error (PS3.18 8.3.5.1.1), and what is told fits into a header."""
    found = parsed(f"annotation={text}")
    assert (found.annotation, found.warnings) == (known, (f"The following annotation values are not supported: {said}",))


@pytest.mark.parametrize("text", ["", ",", " ", "a%0D%0AX-Evil: 1", "patient,two words", "pati\u00e9nt", "a" * 33])
def test_annotations_that_are_no_keywords(text: str) -> None:
    """PS3.18 8.3.5.1.1; what they are is not told, for it could not stand in a header."""
    with pytest.raises(BadRequest, match=r"^annotation is one or more of patient, technique$"):
        parsed(f"annotation={text}")


def test_what_is_shown_as_a_whole_has_no_part() -> None:
    for whole in ("", "viewport=5,5", "viewport=5,5,0,0,,"):
        undivided(parsed(whole).viewport, "a thumbnail")
    for part in ("5,5,1", "5,5,,1", "5,5,,,-5", "5,5,,,,5"):
        with pytest.raises(BadRequest, match="viewport: a thumbnail takes a width and a height"):
            undivided(parsed(f"viewport={part}").viewport, "a thumbnail")


@pytest.mark.parametrize("space", get_args(ColourSpace))
def test_colour_spaces(space: ColourSpace) -> None:
    assert parsed(f"iccprofile={space}") == Rendering(icc=space)


@pytest.mark.parametrize("text", ["", "sRGB", "cmyk", "yes,no"])
def test_colour_spaces_that_are_none(text: str) -> None:
    refused("iccprofile", text)


@pytest.mark.parametrize("name", ["viewport", "window", "quality", "iccprofile"])
def test_what_is_said_twice_must_be_the_same(name: str) -> None:
    value = {"viewport": "5,5", "window": "1,2,linear", "quality": "9", "iccprofile": "yes"}[name]
    assert parsed(f"{name}={value}&{name}={value}") == parsed(f"{name}={value}")
    with pytest.raises(BadRequest, match=f"{name} is given twice"):
        parsed(f"{name}={value}&{name}={value}1")


def test_a_thumbnail_takes_a_viewport_alone() -> None:
    assert parsed("viewport=5,5&quality=no&window=&annotation=x&iccprofile=", PARAMETERS[:1]) == Rendering(Viewport(5, 5))


words: Mapping[str, st.SearchStrategy[str]] = {
    "viewport": st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3)).map(str), max_size=7).map(",".join),
    "window": st.tuples(st.floats(), st.floats(), st.sampled_from([*FUNCTIONS, "x"])).map(lambda parts: ",".join(map(str, parts))),
    "quality": st.one_of(st.integers().map(str), st.text(max_size=4)),
    "annotation": st.text(max_size=30),
    "iccprofile": st.one_of(st.sampled_from(get_args(ColourSpace)), st.text(max_size=4)),
}


@given(st.lists(st.sampled_from(PARAMETERS).flatmap(lambda name: st.tuples(st.just(name), words[name])), max_size=4))
def test_whatever_is_said_makes_a_rendering_or_a_refusal(params: list[tuple[str, str]]) -> None:
    try:
        found = parse_rendering(params)
    except BadRequest:
        return
    assert found == parse_rendering(params[::-1])
    assert hash(found) == hash(parse_rendering(params))
    assert all(warning.isascii() and warning.isprintable() for warning in found.warnings)
    if found.window is not None:
        assert found.window.width > 0 and abs(found.window.center) <= LARGEST
