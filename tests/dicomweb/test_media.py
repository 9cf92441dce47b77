from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.media import ANYTHING, MAX_ACCEPT, MAX_RANGES, Accept, MediaType, Offer, Range, choose, parse_accept, parse_media_type
from gateway.errors import BadRequest

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def choice(header: str | None, *offers: Offer, query: str | None = None) -> Offer | None:
    return choose(parse_accept([] if header is None else [header], query), offers)


# -- one media type


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("application/dicom", ()),
        ("Application/DICOM ;", ()),
        ('multipart/related; type="application/dicom"; boundary=abc', (("type", "application/dicom"), ("boundary", "abc"))),
        ("multipart/related;type=application/dicom;boundary=abc", (("type", "application/dicom"), ("boundary", "abc"))),
        ('multipart/related ; BOUNDARY = "a b;c,d" ', (("boundary", "a b;c,d"),)),
        (r'multipart/related; boundary="a\"b\\c"', (("boundary", r'a"b\c'),)),
        ("multipart/related; boundary==/:?()+,'x", (("boundary", "=/:?()+,'x"),)),
        ("multipart/related; a=1; a=1", (("a", "1"),)),
        ("multipart/related; type=", (("type", ""),)),
    ],
)
def test_reads_parameters_quoted_or_not(text: str, params: tuple[tuple[str, str], ...]) -> None:
    media = parse_media_type(text)
    assert media.params == params
    assert media.type == text.partition(";")[0].strip().lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "text/",
        "/plain",
        "text/plain boundary=a",
        'text/plain; a="b',
        'text/plain; a="b"c',
        "text/plain; a",
        "text/plain; a=1; a=2",
        "text/plain; a=1\r\nX: y",
        "text/plain; a=\x00",
        "téxt/plain",
    ],
)
def test_refuses_what_is_no_media_type(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_media_type(text)


def test_error_does_not_echo_the_text() -> None:
    with pytest.raises(BadRequest) as error:
        parse_media_type("Doe^John")
    assert "Doe" not in error.value.message


def test_param_is_found_by_name() -> None:
    media = MediaType("multipart/related", (("boundary", "x"),))
    assert media.param("boundary") == "x"
    assert media.param("type") is None


@given(st.text(alphabet='ab/;="\\ ,\t*q.01\r\n', max_size=40))
def test_any_text_is_a_media_type_or_a_bad_request(text: str) -> None:
    try:
        media = parse_media_type(text)
    except BadRequest:
        return
    assert media.type == media.type.lower()
    assert all(name == name.lower() and "\n" not in value for name, value in media.params)


TOKENS = st.text(alphabet="abcXYZ019-+.", min_size=1, max_size=8)


@given(TOKENS, TOKENS, st.dictionaries(TOKENS.map(str.lower), st.text(alphabet='ab ;,="\\/?', max_size=8), max_size=4))
def test_quoted_parameters_come_back(kind: str, subtype: str, params: dict[str, str]) -> None:
    quoted = (name + '="' + value.replace("\\", r"\\").replace('"', r"\"") + '"' for name, value in params.items())
    media = parse_media_type("; ".join([f"{kind}/{subtype}", *quoted]))
    assert media == MediaType(f"{kind}/{subtype}".lower(), tuple(params.items()))


# -- an Accept


def test_ranges_are_sorted_by_q_and_keep_their_order_otherwise() -> None:
    accept = parse_accept(["image/png;q=0.5, image/jpeg", "image/gif, */*; q=0.1"])
    assert [r.media for r in accept.ranges] == ["image/jpeg", "image/gif", "image/png", "*/*"]
    assert accept.fallback == ()


def test_a_comma_inside_quotes_divides_nothing() -> None:
    (only,) = parse_accept(['multipart/related; type="application/dicom"; x="a,b"']).ranges
    assert only == Range("multipart/related", "application/dicom")


@pytest.mark.parametrize("values", [[], [""], [" ", ""]])
def test_no_accept_means_anything(values: list[str]) -> None:
    assert parse_accept(values, None) == ANYTHING
    assert parse_accept(values, "") == ANYTHING


def test_any_multipart_is_the_one_that_there_is() -> None:
    assert parse_accept(["multipart/*"]) == parse_accept(["multipart/related"])
    assert parse_accept(['multipart/*; type="image/*"']) == parse_accept(['multipart/related; type="image/*"'])


def test_bare_multipart_leaves_the_type_of_the_parts_open() -> None:
    (only,) = parse_accept(["multipart/related"]).ranges
    assert (only.inner, only.wildcard) == ("*/*", True)


@pytest.mark.parametrize(
    "bad", ["nonsense", "image/png;q=nan", "image/png;q=2", "image/png;q=-1", "image/png;q=1e9", ";", "image/png;a=1;a=2"]
)
def test_elements_that_are_no_ranges_are_passed_over(bad: str) -> None:
    assert [r.media for r in parse_accept([f"{bad}, image/jpeg"]).ranges] == ["image/jpeg"]


def test_attack_an_endless_accept() -> None:
    longest = "image/png;a=" + "x" * (MAX_ACCEPT - 12)
    assert len(parse_accept([longest]).ranges) == 1
    with pytest.raises(BadRequest, match=str(MAX_ACCEPT)):
        parse_accept(["image/png", longest])
    with pytest.raises(BadRequest, match=str(MAX_ACCEPT)):
        parse_accept([], longest + "x")


def test_attack_an_accept_of_a_thousand_ranges() -> None:
    assert len(parse_accept(["a/b," * 1000]).ranges) == MAX_RANGES


def test_only_nonsense_accepts_nothing() -> None:
    assert choice("nonsense", Offer("application/dicom+json")) is None


@given(st.text(alphabet='abim/;="\\ ,*q.01', max_size=60))
def test_any_header_can_be_read_and_chosen_from(text: str) -> None:
    accept = parse_accept([text])
    assert all(0 <= r.q <= 1 for r in accept.ranges)
    assert [r.q for r in accept.ranges] == sorted((r.q for r in accept.ranges), reverse=True)
    hash(accept)


RANGES = st.sampled_from(
    ["*/*", "image/*", "image/jpeg", "image/png", "application/dicom+json", "multipart/related", 'multipart/related; type="image/jpeg"']
)
WEIGHTED = st.tuples(RANGES, st.sampled_from(["", ";q=0", ";q=0.5", ";q=1.0"])).map("".join)
OFFERS = [
    Offer("image/jpeg"),
    Offer("image/png"),
    Offer("application/dicom+json"),
    Offer("image/jpeg", JPEG, multipart=True, as_stored=True),
]


@given(st.lists(WEIGHTED, min_size=1, max_size=4))
def test_the_order_of_the_ranges_does_not_matter(ranges: list[str]) -> None:
    assert choice(", ".join(ranges), *OFFERS) == choice(",".join(reversed(ranges)), *OFFERS)


@given(st.lists(WEIGHTED, min_size=1, max_size=4))
def test_what_is_chosen_was_asked_for(ranges: list[str]) -> None:
    chosen = choice(", ".join(ranges), *OFFERS)
    if chosen is not None:
        names = {"*/*", "multipart/related", "image/*", chosen.media_type, f'multipart/related; type="{chosen.media_type}"'}
        assert any(r.split(";q=")[0] in names and not r.endswith("q=0") for r in ranges)


# -- the choice


DICOM_STORED = Offer("application/dicom", JPEG, multipart=True, as_stored=True)
DICOM_EXPLICIT = Offer("application/dicom", EXPLICIT, multipart=True)
DICOM_SINGLE = Offer("application/dicom", JPEG, as_stored=True)
COMPRESSED = (DICOM_STORED, DICOM_EXPLICIT, DICOM_SINGLE)

FRAME_STORED = Offer("image/jpeg", JPEG, multipart=True, as_stored=True)
FRAME_DECODED = Offer("application/octet-stream", EXPLICIT, multipart=True)
FRAMES = (FRAME_STORED, FRAME_DECODED)

JSON = Offer("application/dicom+json")
XML = Offer("application/dicom+xml", multipart=True)


@pytest.mark.parametrize(
    ("header", "offer"),
    [
        ('multipart/related; type="application/dicom"', DICOM_EXPLICIT),
        ("multipart/related; type=application/dicom", DICOM_EXPLICIT),
        ('Multipart/Related; Type="Application/DICOM"', DICOM_EXPLICIT),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', DICOM_STORED),
        (f'multipart/related; type="application/dicom"; transfer-syntax={JPEG}', DICOM_STORED),
        (f'multipart/related; type="application/dicom"; transfer-syntax="{EXPLICIT}"', DICOM_EXPLICIT),
        (f'multipart/related; type="application/dicom"; transfer-syntax={JPEG_2000}', None),
        ("multipart/related", DICOM_STORED),
        ('multipart/related; type="*/*"', DICOM_STORED),
        ("*/*", DICOM_STORED),
        (None, DICOM_STORED),
        ("multipart/related; type=application/*", DICOM_STORED),
        (f"*/*; transfer-syntax={EXPLICIT}", DICOM_EXPLICIT),
        ("application/dicom; transfer-syntax=*", DICOM_SINGLE),
        ("application/dicom", None),
        ("application/*", DICOM_SINGLE),
        ("image/jpeg", None),
        ("multipart/mixed", None),
    ],
)
def test_transfer_syntax_of_a_compressed_instance(header: str | None, offer: Offer | None) -> None:
    assert choice(header, *COMPRESSED) == offer


def test_an_implicit_instance_does_not_go_out_by_default() -> None:
    stored = Offer("application/dicom", IMPLICIT, multipart=True, as_stored=True)
    assert choice('multipart/related; type="application/dicom"', stored, DICOM_EXPLICIT) == DICOM_EXPLICIT
    assert choice(f'multipart/related; type="application/dicom"; transfer-syntax={IMPLICIT}', stored, DICOM_EXPLICIT) == stored


def test_a_store_may_serve_as_stored_by_default() -> None:
    accept = parse_accept(['multipart/related; type="application/dicom"'])
    assert choose(accept, COMPRESSED, default_transfer_syntax="*") == DICOM_STORED


def test_single_part_types_do_not_match_a_study() -> None:
    assert choice("application/dicom; transfer-syntax=*", DICOM_STORED, DICOM_EXPLICIT) is None


def test_image_type_without_transfer_syntax_takes_the_stored_codec() -> None:
    assert choice('multipart/related; type="image/jpeg"', *FRAMES) == FRAME_STORED


def test_as_stored_falls_back_to_what_the_type_can_be_had_in() -> None:
    encoded = Offer("image/jpeg", JPEG, multipart=True)
    native = Offer("application/octet-stream", EXPLICIT, multipart=True, as_stored=True)
    assert choice('multipart/related; type="image/jpeg"; transfer-syntax=*', native, encoded) == encoded


def test_among_equals_a_named_type_comes_before_a_wildcard() -> None:
    assert choice('*/*, multipart/related; type="application/dicom+xml"', JSON, XML) == XML


def test_among_named_types_the_server_has_its_order() -> None:
    assert choice("image/png, image/jpeg", Offer("image/jpeg"), Offer("image/png")) == Offer("image/jpeg")


def test_a_higher_q_comes_before_everything() -> None:
    assert choice("image/jpeg;q=0.2, */*;q=0.9", Offer("image/jpeg"), Offer("image/png")) == Offer("image/png")


def test_q_0_rules_a_type_out() -> None:
    assert choice("*/*, image/jpeg;q=0", Offer("image/jpeg"), Offer("image/png")) == Offer("image/png")
    assert choice("image/jpeg;q=0", Offer("image/jpeg")) is None


def test_q_0_rules_one_transfer_syntax_out() -> None:
    dicom = 'multipart/related; type="application/dicom"; transfer-syntax='
    assert choice(f"{dicom}*, {dicom}{JPEG}; q=0", *COMPRESSED) == DICOM_EXPLICIT


def test_a_syntax_that_was_named_counts_more_than_the_default() -> None:
    dicom = 'multipart/related; type="application/dicom"'
    assert choice(f"{dicom}, {dicom}; transfer-syntax={EXPLICIT}; q=0", DICOM_EXPLICIT) is None
    assert choice(f"{dicom}; transfer-syntax=*, {dicom}; transfer-syntax={EXPLICIT}; q=0", DICOM_EXPLICIT) is None


def test_as_stored_comes_before_the_servers_order() -> None:
    assert choice('multipart/related; type="application/dicom"; transfer-syntax=*', DICOM_EXPLICIT, DICOM_STORED) == DICOM_STORED
    assert choice("*/*", DICOM_EXPLICIT, DICOM_STORED) == DICOM_STORED


def test_parameters_of_types_without_transfer_syntax_are_ignored() -> None:
    assert choice("application/dicom+json; charset=utf-8; transfer-syntax=1.2.3", JSON) == JSON


def test_accept_parameter_comes_before_the_header() -> None:
    offers = (Offer("image/jpeg"), Offer("image/png"))
    assert choice("image/jpeg", *offers, query="image/png") == offers[1]


def test_the_header_counts_when_the_parameter_cannot_be_met() -> None:
    assert choice("image/jpeg", Offer("image/jpeg"), query="image/gif") == Offer("image/jpeg")
    assert choice(None, Offer("image/jpeg"), query="image/gif") is None


def test_accept_is_a_cache_key() -> None:
    assert {parse_accept(["a/b, c/d;q=0.5"]): 1}[Accept((Range("a/b"), Range("c/d", q=0.5)))] == 1


# -- what real clients send (recorded)


def test_ohif_frames_unquoted_as_stored_take_a_jpeg_back() -> None:
    assert choice("multipart/related; type=application/octet-stream; transfer-syntax=*", *FRAMES) == FRAME_STORED


def test_ohif_list_of_ranges() -> None:
    header = "multipart/related; type=application/octet-stream; transfer-syntax=*, multipart/related; type=image/jls, */*"
    assert choice(header, *FRAMES) == FRAME_STORED


def test_octets_without_as_stored_are_decoded() -> None:
    assert choice("multipart/related; type=application/octet-stream", *FRAMES) == FRAME_DECODED


def test_dicomweb_client_frames_and_bulk_data() -> None:
    assert choice('multipart/related; type="*/*"', *FRAMES) == FRAME_STORED
    bulk = Offer("application/octet-stream", multipart=True)
    assert choice('multipart/related; type="*/*"', bulk) == bulk


def test_dcmweb_retrieves_an_instance_as_stored() -> None:
    assert choice("application/dicom; transfer-syntax=*", *COMPRESSED) == DICOM_SINGLE


def test_img_element_asks_by_parameter_and_sends_a_browsers_accept() -> None:
    browser = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
    offers = (Offer("image/png"), Offer("image/jpeg"))
    assert choice(browser, *offers, query="image/jpeg") == offers[1]


def test_object_element_gets_a_pdf() -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
    assert choice(browser, Offer("application/pdf")) == Offer("application/pdf")


def test_parameter_with_an_unescaped_plus() -> None:
    assert choice(None, JSON, query="application/dicom json") == JSON
    assert choice(None, XML, query="multipart/related; type=application/dicom xml") == XML


def test_java_sends_a_lone_asterisk() -> None:
    assert choice("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON) == JSON


def test_google_python_client_asks_for_plain_json() -> None:
    assert choice("application/json", JSON, Offer("application/json")) == Offer("application/json")
