"""A question as a key: equal for equal questions of callers who may see the same, and for no others."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import version
from typing import Literal, NamedTuple, get_args

from gateway.backends.base import Retrieve, View
from gateway.dicom.metadata import MODEL
from gateway.dicomweb.query import Query

Kind = Literal["search", "metadata", "frames", "bulkdata", "rendered", "transcoded"]
"""What is kept, as the closed set of the label `kind`."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_VERSION = version("dicomweb-gateway")

STORED: Mapping[View, Kind] = {View.METADATA: "metadata", View.FRAMES: "frames", View.BULKDATA: "bulkdata"}
"""What is kept of a store that answers slowly."""

MADE: Mapping[View, Kind] = {View.RENDERED: "rendered", View.THUMBNAIL: "rendered", View.FRAMES: "transcoded"}
"""What is kept of what is made of pixels."""


class Key(NamedTuple):
    """What an answer is kept under.

    :param store: its configured name.
    :param scope: what stands for the caller where not all callers may see the same, else empty.
    :param question: what is asked. A query may name a patient, so it stays in the memory of this process.
    """

    store: str
    scope: str
    question: Query | Retrieve


USUAL = 1024
"""Characters of a question, written out, that an entry's overhead covers; a viewer's have some hundred."""

SPREAD = 5
"""Bytes that a character of a longer one takes in memory: a list of UIDs or media types is many small objects."""


def weight(key: Key) -> int:
    """Bytes of memory that a long question takes beside its answer: a caller may ask ten thousand of 30 KB each."""
    return SPREAD * max(0, len(repr(key.question)) - USUAL)


def kind_of(retrieve: Retrieve, kinds: Mapping[View, Kind] = STORED) -> Kind | None:
    """What kind of answer a read gets, None where it is not kept: whole instances and studies are read once, and fill any room.

    :param kinds: what is kept.
    """
    if retrieve.view is View.BULKDATA and retrieve.bulk is None:
        return None
    return kinds.get(retrieve.view)


def digest(key: Key) -> str:
    """The name of a read in the tier that outlives this process: 160 bits that change with each part of the key.

    The version of the gateway and of its documents are in it, so that nobody is given what an older one has written.
    """
    return blake2b(repr((_VERSION, MODEL, *key)).encode(errors="surrogateescape"), digest_size=20).hexdigest()
