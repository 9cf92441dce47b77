"""URLs of an origin made ours while they pass."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.web.rewriting import Rewriter, rewritten

THEIRS = ("https://healthcare.googleapis.com", "http://127.0.0.1:81")
OURS = "https://ours.example/x"
STORE = "/v1/projects/p/locations/l/datasets/d"

BUNDLE = (
    '{"fullUrl":"https://healthcare.googleapis.com' + STORE + '/fhir/Patient/1", "location" : "http://127.0.0.1:81/v1beta1/projects/p/x",'
    '"url":"https://healthcare.googleapis.com/other","extension":[{"url":"https://g.co/x"}],'
    '"text":"see https://healthcare.googleapis.com' + STORE + ' and \\"url\\":\\"http://127.0.0.1:81/v1/projects/p",'
    '"reference":"https://healthcare.googleapis.com' + STORE + '/fhir/Patient/2","name":"\u00e4"}'
)
WANTED = BUNDLE.replace('"fullUrl":"https://healthcare.googleapis.com', f'"fullUrl":"{OURS}', 1).replace(
    '"location" : "http://127.0.0.1:81', f'"location" : "{OURS}', 1
)


def fed(rewriter: Rewriter, data: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return b"".join(rewriter.feed(data[a:b]) for a, b in pairwise(edges)) + rewriter.finish()


@given(st.lists(st.integers(0, len(BUNDLE.encode()))))
def test_only_urls_of_the_api_change_however_the_bytes_are_cut(cuts: list[int]) -> None:
    assert fed(Rewriter(THEIRS, OURS), BUNDLE.encode(), cuts).decode() == WANTED


@given(st.binary(max_size=300), st.integers(1, 50))
def test_what_is_no_json_stays(data: bytes, size: int) -> None:
    assert fed(Rewriter(THEIRS, OURS), data, list(range(0, 300, size))) == data


@given(st.lists(st.sampled_from(['"url":"', "http://127.0.0.1:81", "/v1/projects/", "x", '"', "/v1"]), max_size=30), st.integers(1, 40))
def test_cuts_make_no_difference(words: list[str], size: int) -> None:
    data = "".join(words).encode()
    assert fed(Rewriter(THEIRS, OURS), data, list(range(0, len(data), size))) == fed(Rewriter(THEIRS, OURS), data, [])


def test_documents_of_dicom_have_urls_anywhere() -> None:
    data = f"<Value number='1'>{THEIRS[0]}{STORE}/dicomStores/s/dicomWeb/studies/1</Value>".encode()
    assert fed(Rewriter(THEIRS, OURS, everywhere=True), data, [20, 25]) == data.replace(THEIRS[0].encode(), OURS.encode())


async def test_little_is_held() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for _ in range(100):
            yield b"x" * 1000

    found = [len(piece) async for piece in rewritten(pieces(), Rewriter(THEIRS, OURS))]
    assert sum(found) == 100_000 and found[0] > 850 and found[-1] < 150
