"""What a path says before it leaves the gateway."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.healthcare import paths

BOUND = "/v1/projects/p/locations/l"


@pytest.mark.parametrize(
    "path", [BOUND, BOUND + "/datasets/d:getIamPolicy", BOUND + "/", "/v1/projects/p%3Ax/locations/l", BOUND + "/datasets/%C3%A4"]
)
def test_plain_paths_stay_what_they_are(path: str) -> None:
    assert unquote(paths.rewritten(paths.segments(path))) == unquote(path)


@pytest.mark.parametrize(
    "end",
    [
        *("/../q", "/..", "/./x", "//x", "/%2e%2e/q", "/%2E./q", "/.%2e", "/%252e%252e/q", "/%25252e%25252e/q", "/a%2fb", "/a%252Fb"),
        *("/a%5Cb", "/..;/q", "/..;x=1/q", "/%2e%2e;/q", "/a%00b", "/a%0d%0aHost:x", "/a%7Fb", "/%20../q/..%20", "/%25%32%65%25%32%65"),
        "/%" + "25" * 9 + "2e%2e",
    ],
)
def test_nothing_leads_elsewhere(end: str) -> None:
    with pytest.raises(BadRequest):
        paths.rewritten(paths.segments(BOUND + end))


@given(st.text(alphabet="ab/.%25eEfF2;\\ \0\u00e4", max_size=12))
def test_whoever_decodes_what_is_sent_stays_below_what_is_bound(end: str) -> None:
    """However often, and whichever slashes he believes in."""
    try:
        path = paths.rewritten(paths.segments(f"{BOUND}/{end}"))
    except BadRequest:
        return
    assert path.isascii() and path.startswith(BOUND + "/") and path.count("/") == BOUND.count("/") + 1 + end.count("/")
    for _ in range(5):
        words = path.replace("\\", "/").split("/")
        assert not {word.partition(";")[0].strip() for word in words} & {".", ".."}
        assert "" not in words[1:-1]
        path = unquote(path)


@given(st.lists(st.tuples(st.sampled_from(["access_token", "oauth_token", "%61ccess_token", "key", "_count"]), st.text(alphabet="a%&=b"))))
def test_no_credential_stays_in_a_query(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={quote(value)}" for name, value in pairs)
    kept = [f"{name}={quote(value)}" for name, value in pairs if unquote(name) not in paths.SECRETS]
    assert paths.without_secrets(query) == ("?" + "&".join(kept) if kept else "")


def test_what_has_no_place_in_a_url_is_encoded() -> None:
    assert paths.without_secrets("a=x y|z#ä&") == "?a=x%20y%7Cz%23%C3%A4"
    assert paths.without_secrets("key=1&%6bey=2&keys=3") == "?key=1&%6bey=2&keys=3"
    assert paths.without_secrets("key=1&%6bey=2&keys=3&access_token=4", paths.API_KEY) == "?keys=3"
    assert paths.without_secrets("") == paths.without_secrets("access_token=1&") == ""
