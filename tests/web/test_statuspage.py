"""The HTML of the status page: what is said, in which words, and that nothing of it is taken for HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from gateway.backends.base import Health, Tally
from gateway.web import statuspage
from gateway.web.figures import Kept, Lately, Sample, Traffic, Waiting
from gateway.web.service import VERSION
from gateway.web.status import Facts, Shown, StoreFacts

WELL = Health(ready=True)
EVIL = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """Words, tags and addresses of a page; complains of what stays open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def facts(
    name: str = "default", health: Health = WELL, tally: Tally | None = None, lately: Lately | None = None, **sample: object
) -> Facts:
    made = Sample()
    for key, value in sample.items():
        setattr(made, key, value)
    return Facts((StoreFacts(Shown(name, "files on disk", "dicom-web"), health, tally),), made, lately)


def page(shown: Facts, *, draining: bool = False, viewer: bool = False) -> Reader:
    return Reader(statuspage.of(shown, draining=draining, viewer=viewer))


LATELY = Lately(30, {"search": Traffic(300, 2, 6.0, 0, 90_000), "store": Traffic(1, 0, 1, 5_000_000, 10)}, {"default": Kept(3, 1)})


def test_a_store_that_is_well() -> None:
    found = page(facts(tally=Tally(12, 34, 5678, 1_240_000_000), lately=LATELY)).text
    for words in ("ready", "default", "files on disk", "12", "34", "5,678", "1.24 GB", "75 %", VERSION):
        assert words in found


def test_what_was_asked_for_lately() -> None:
    found = page(facts(lately=LATELY)).text
    for words in ("10/s", "2 failed", "in 30 s", "Search (QIDO-RS)", "300", "20.0 ms", "90.0 kB", "5.00 MB"):
        assert words in found


def test_the_first_look_has_no_figures_and_says_so() -> None:
    assert "figures come with the next look" in page(facts()).text


def test_a_browser_comes_again_sooner_as_long_as_there_are_no_figures() -> None:
    soon, later = (statuspage.of(facts(lately=lately), draining=False, viewer=False) for lately in (None, LATELY))
    assert (f"refresh content={statuspage.SOON}>" in soon, f"refresh content={statuspage.REFRESH}>" in later) == (True, True)


def test_the_request_for_the_page_is_not_counted() -> None:
    assert "Being answered 2 requests" in page(facts(in_flight=3.0, lately=LATELY)).text


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(ready=False, writable=False, detail="the disk is gone"), "not ready the disk is gone"),
        (Health(ready=True, writable=False, detail="too little free disk space"), "read only too little free disk space"),
    ],
)
def test_a_store_that_is_not_well(health: Health, words: str) -> None:
    assert words in page(facts(health=health)).text


def test_the_whole_is_ready_when_all_stores_are() -> None:
    assert facts().ready
    assert not facts(health=Health(ready=False)).ready
    assert "draining" in page(facts(), draining=True).text


def test_an_origin_that_is_left_alone_and_a_spool_that_waits() -> None:
    found = page(facts(breakers={"default": 2.0}, waiting={"default": Waiting(1200, 7300, 3)})).text
    assert "the origin is left alone" in found
    assert "1,200 instances wait to be delivered, the oldest for 2 h" in found
    assert "3 were set aside" in found


def test_nothing_is_taken_for_html() -> None:
    store = StoreFacts(Shown(EVIL, EVIL, EVIL), Health(ready=False, detail=EVIL), None)
    lately = Lately(1, {EVIL: Traffic(1)}, {})
    text = statuspage.of(Facts((store,), Sample(), lately), draining=False, viewer=True)
    found = Reader(text)
    assert "script" not in found.tags
    assert "<script" not in text.replace(statuspage.STYLE, "")
    assert found.text.count("alert('x')") == 5
    assert all('"' not in link and "<" not in link for link in found.links)


def test_links_are_relative_so_that_a_prefix_of_a_proxy_stays() -> None:
    for shown in (page(facts(), viewer=True), Reader(statuspage.outside(facts(), False, True))):
        assert shown.links
        assert not [link for link in shown.links if link.startswith(("/", "http"))]
    assert "viewer/?datasources=default" in page(facts(), viewer=True).links
    assert not [link for link in page(facts()).links if "viewer" in link]


def test_a_stranger_learns_that_it_is_here_and_nothing_else() -> None:
    shown = facts("secret-store", tally=Tally(77, 77, 77, 77), lately=LATELY)
    found = Reader(statuspage.outside(shown, draining=False, viewer=True))
    assert "ready" in found.text
    assert "token" in found.text
    for words in ("secret-store", "77", VERSION, "Search"):
        assert words not in found.text
    assert not {"metrics", "openapi.json", "version", "readyz"} & set(found.links)


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    text = statuspage.of(facts(), draining=False, viewer=False)
    style = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    assert len(style) == 1
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()}'" in statuspage.POLICY
    assert " style=" not in text
    assert "url(" not in style[0]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (123_456, "123 kB"), (1.24e9, "1.24 GB"), (5e15, "5000 TB")],
)
def test_sizes_have_three_digits(count: float, words: str) -> None:
    assert statuspage.size(count) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (41, "41 s"), (720, "12 min"), (10_800, "3 h"), (400_000, "5 d")])
def test_durations(seconds: float, words: str) -> None:
    assert statuspage.duration(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(0.24, "0.2"), (9.96, "10.0"), (17.3, "17"), (12_345.6, "12,346")])
def test_rates(value: float, words: str) -> None:
    assert statuspage.rate(value) == words
