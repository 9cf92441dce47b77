"""Attributes cut out of documents: always what a reader of the whole document finds."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.local import cutting
from gateway.backends.local.cutting import ABSENT, Cutter

TAGS = ["00081030", "00180060", "00400275", "00090010", "FFFEFFFE"]
TEXT = st.text('ab{}[]",:\\ä\n') | st.sampled_from(['"00180060":', '{"00180060":{"vr":"DS"}}', "}]}", '"}', "{", "\\", '\\"'])
VALUE = TEXT | st.integers(-(2**40), 2**40) | st.floats(-1e6, 1e6) | st.none() | st.builds(lambda name: {"Alphabetic": name}, TEXT)


def attributes(items: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    values = st.lists(VALUE, max_size=3) | st.lists(items, max_size=3)
    attribute = st.builds(lambda values: {"vr": "SQ", "Value": values}, values) | st.just({"vr": "LO"}) | TEXT.map(lambda uri: {"URI": uri})
    return st.dictionaries(st.sampled_from(TAGS), attribute, max_size=5)


DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.recursive(st.just({}), attributes, max_leaves=20)


@given(st.lists(st.tuples(DOCUMENTS, st.booleans()), min_size=1, max_size=4), st.sampled_from(TAGS))
def test_it_is_what_the_whole_document_says(documents: list[tuple[dict[str, Any], bool]], name: str) -> None:
    cut = Cutter(int(name, 16))
    for document, ordered in documents:  # the place in one is a hint for the next
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS if ordered else 0)
        found = cut(text)
        assert (orjson.loads(found) if found else None) == orjson.loads(text).get(name)


OWN = b'"00180060":{"vr":"DS","Value":[80,120]}'
INNER = b'"00400275":{"vr":"SQ","Value":[{"00180060":{"vr":"DS","Value":[90]}},{"00180060":{"vr":"DS"}}]}'


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"{%b,%b}" % (INNER, OWN), OWN),
        (b"{%b,%b}" % (OWN, INNER), OWN),
        (b"{%b}" % INNER, None),
        (b'{"00081030":{"vr":"LO","Value":["}{\\""]},%b}' % OWN, OWN),
        (b'{"00081030":{"vr":"LO","Value":["\\"00180060\\":{}"]}}', None),
        (b"{}", None),
    ],
)
def test_of_an_item_is_not_of_the_instance(document: bytes, expected: bytes | None) -> None:
    assert Cutter(0x00180060)(document) == (expected.partition(b":")[2] if expected else ABSENT)


def test_an_attribute_may_lie_anywhere_however_the_one_before_had_it() -> None:
    cut = Cutter(0x00180060)
    far = b'{"00081030":{"vr":"LT","Value":["%b"]},%b}' % (b"x" * 5000, OWN)
    near = b'{%b,"00400275":{"vr":"SQ","Value":[{"00081030":{"vr":"LT","Value":["%b"]},%b}]}}' % (OWN, b"x" * 5000, OWN)
    for document in (far, near, far, near):
        assert cut(document) == OWN.partition(b":")[2]


def test_plain_documents_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what makes the difference between seconds and a minute."""

    def read(_: Cutter, document: bytes) -> bytes:
        raise AssertionError(document)

    monkeypatch.setattr(cutting.Cutter, "_read", read)
    name = b'"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe","Ideographic":"x"}]}'
    for tag in (0x00100010, 0x00180060, 0x00081030):
        Cutter(tag)(b"{%b,%b,%b}" % (name, INNER, OWN))
