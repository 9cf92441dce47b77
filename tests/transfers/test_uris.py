"""Names of files elsewhere, and wildcards in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.transfers.uris import MAX_WILDCARDS, Pattern, Uri, parse_folder, parse_pattern, parse_uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("gs://bucket/a/b.dcm", Uri("gs", "bucket", "a/b.dcm")),
        ("s3://my.bucket-1/a%20b#c", Uri("s3", "my.bucket-1", "a%20b#c")),
        ("file:///srv/in/a.dcm", Uri("file", "", "srv/in/a.dcm")),
        ("gs://bucket", Uri("gs", "bucket", "")),
    ],
)
def test_a_uri_names_a_file_and_is_not_decoded(text: str, uri: Uri) -> None:
    assert parse_uri(text, "uri") == uri
    assert str(uri).rstrip("/") == text


BAD = [
    *("", "bucket/a", "http://bucket/a", "gs:/bucket/a", "gs://B/a", "gs:///a", "gs://a*/b", "file://host/a", "gs://bucket/a//b"),
    *("gs://bucket/../a", "file:///srv/../etc", "file:///srv/./a", "file:////etc", "gs://bucket/a\nb", "gs://bucket/" + "a" * 3000),
]


@pytest.mark.parametrize("text", [*BAD, None, 7, ["gs://bucket/a"]])
def test_what_is_none_is_refused_and_not_repeated(text: object) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_uri(text, "gcsSource.uri")
    assert refused.value.message.startswith("gcsSource.uri ")
    assert "etc" not in refused.value.message


def test_a_folder_ends_with_a_slash_and_has_no_wildcards() -> None:
    assert [parse_folder(text, "prefix").name for text in ("gs://bucket", "gs://bucket/", "gs://bucket/a", "gs://bucket/a/")] == [
        *("", "", "a/", "a/")
    ]
    for text in ("gs://bucket/a*", "gs://bucket/a?/"):
        with pytest.raises(BadRequest):
            parse_folder(text, "prefix")


@pytest.mark.parametrize(
    "name",
    [
        *("", "a/", "**/a.dcm", "a**b.dcm", "**.dcm/x", "*/**", "?/**.dcm", "***", "**.d?m", "**x", "a/**.", "**.dcm*", "**.dcm.**"),
        *("*" * 1 + "a*" * MAX_WILDCARDS,),
    ],
)
def test_wildcards_stand_where_the_api_has_them(name: str) -> None:
    with pytest.raises(BadRequest):
        parse_pattern(f"gs://bucket/{name}", "uri")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a/b.dcm", ["a/b.dcm"], ["a/b_dcm", "a/b.dcm2", "x/a/b.dcm"]),
        ("a/*.dcm", ["a/.dcm", "a/x.dcm"], ["a/b/x.dcm", "a/x.dcmx", "b/x.dcm"]),
        ("a/*/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c"]),
        ("a/**", ["a/", "a/b", "a/b/c"], ["a", "ab"]),
        ("a/pre**", ["a/pre", "a/prefix/x"], ["a/pr"]),
        ("a/**.dcm", ["a/.dcm", "a/b/c.dcm"], ["a.dcm", "a/b.dcmx", "b/a/c.dcm"]),
        ("**.tar.gz", ["x/y.tar.gz"], ["x.gz"]),
        ("?.d*", ["a.dcm", "ü.d"], [".d", "ab.d"]),
        ("[ab]*", ["[ab]c"], ["ac"]),
    ],
)
def test_what_wildcards_mean(pattern: str, matching: list[str], others: list[str]) -> None:
    found = parse_pattern(f"gs://bucket/{pattern}", "uri")
    assert [name for name in matching + others if found.matches(name)] == matching


NAMES = st.text("ab/.", max_size=12)


@given(pattern=st.text("ab/.*?", min_size=1, max_size=10), name=NAMES)
@example(pattern="*?*", name="a/b")
@example(pattern="***", name="/")
def test_stars_and_question_marks_are_those_of_a_plain_expression(pattern: str, name: str) -> None:
    alone = re.sub(r"\*+", "*", pattern)
    words = {"*": "[^/]*", "?": "."}
    plain = "".join(words.get(char, re.escape(char)) for char in alone)
    assert Pattern(Uri("gs", "bucket", alone)).matches(name) == bool(re.fullmatch(plain, name))


@given(before=st.text("ab/", max_size=4), extension=st.sampled_from(["", ".a", ".a.b"]), name=NAMES)
def test_two_stars_are_anything(before: str, extension: str, name: str) -> None:
    plain = f"{re.escape(before)}.*{re.escape(extension)}"
    assert Pattern(Uri("gs", "bucket", f"{before}**{extension}")).matches(name) == bool(re.fullmatch(plain, name))


@given(pattern=st.text("ab/*?", min_size=1, max_size=10), name=NAMES)
def test_all_names_begin_with_the_folder(pattern: str, name: str) -> None:
    found = Pattern(Uri("gs", "bucket", pattern))
    assert not found.matches(name) or name.startswith(found.folder)


def test_the_worst_pattern_is_no_trap() -> None:
    """An expression with so many stars would try more ways than there are atoms."""
    pattern = parse_pattern("gs://bucket/" + "a*" * MAX_WILDCARDS + "b", "uri")
    assert not pattern.matches("a" * 1000) and pattern.matches("a" * 1000 + "b")
