from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.elements import Walk
from gateway.dicom.header import IDENTITY, NEED_MORE, Instance, identity, peek
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import is_uid
from gateway.errors import InstanceError
from tests import samples
from tests.dicom.archive import readable
from tests.dicom.handmade import el, file, plain

KINDS = {name: build() for name, build in samples.ALL.items()}
every_kind = pytest.mark.parametrize("data", KINDS.values(), ids=list(KINDS))

CT = b"1.2.840.10008.5.1.4.1.1.2\0"


def made(
    sop_class: bytes = CT,
    sop: bytes = b"1.2.3.4.5\0",
    study: bytes = b"1.2.3\0",
    series: bytes = b"1.2.3.4\0",
    *,
    syntax: str = "1.2.840.10008.1.2.1",
) -> bytes:
    """A file with these UIDs, as they are."""
    uids = el(0x00080016, "UI", sop_class) + el(0x00080018, "UI", sop) + el(0x0020000D, "UI", study) + el(0x0020000E, "UI", series)
    return file(uids, el(0x00280010, "US", b"\4\0"), syntax=syntax)


def refusal(data: bytes) -> InstanceError:
    with pytest.raises(InstanceError) as caught:
        peek(data, final=True)
    return caught.value


# -- who it is


def test_the_instance_of_a_file() -> None:
    expected = Instance("1.2.3", "1.2.3.4", "1.2.3.4.5", CT.decode().strip("\0"), "1.2.840.10008.1.2.1")
    assert peek(samples.ct()) == peek(made()) == expected


@every_kind
def test_a_prefix_gives_the_same_instance_or_none(data: bytes) -> None:
    whole = peek(data, final=True)
    assert isinstance(whole, Instance)
    answers = [peek(data[:length]) for length in range(len(data) + 1)]
    known = next((length for length, answer in enumerate(answers) if answer is not NEED_MORE), len(data) + 1)
    assert set(answers[:known]) == {NEED_MORE}
    assert set(answers[known:]) <= {whole}


@every_kind
def test_a_cut_off_file_is_no_instance(data: bytes) -> None:
    accepted = []
    for length in range(len(data)):
        if peek(data[:length]) is NEED_MORE:
            try:
                accepted.append(peek(data[:length], final=True))
            except InstanceError as error:
                reason = error.reason
            else:
                continue
            assert reason is Reason.CANNOT_UNDERSTAND
    assert len(accepted) <= 1  # cut right behind the last UID, it is a short file that is whole
    assert set(accepted) <= {peek(data, final=True)}


@every_kind
def test_the_whole_walk_says_the_same(data: bytes) -> None:
    walk = Walk(wanted=IDENTITY)
    walk.feed(data)
    walk.finish()
    assert identity(walk.values, walk.syntax) == peek(data, final=True)


def test_any_buffer_can_be_peeked_at() -> None:
    data = samples.ct()
    assert peek(bytearray(data)) == peek(memoryview(data)) == peek(data)


@pytest.mark.parametrize("padding", [b"", b"\0", b" ", b"\0\0\0", b" \0"])
def test_padding_of_uids_is_cut_off(padding: bytes) -> None:
    instance = peek(made(study=b"1.2.33" + padding))
    assert isinstance(instance, Instance)
    assert instance.study == "1.2.33"


def test_uids_with_leading_zeros_are_kept_as_they_are() -> None:
    instance = peek(made(study=b"1.02.003"))
    assert isinstance(instance, Instance)
    assert instance.study == "1.02.003"


def test_uids_of_items_are_not_those_of_the_instance() -> None:
    inner = plain(0xFFFEE000, el(0x0020000D, "UI", b"6.6.6\0"))
    data = file(el(0x00080016, "UI", CT), el(0x00080018, "UI", b"1.2\0"), el(0x00081140, "SQ", inner), el(0x0020000E, "UI", b"1.3\0"))
    assert refusal(data).message == "(0020,000D): Study Instance UID is missing"


def test_uids_that_come_late_are_found() -> None:
    head = el(0x00080016, "UI", CT) + el(0x00080018, "UI", b"1.2\0") + el(0x0020000E, "UI", b"1.2.3.4\0")
    data = file(head, el(0x00280010, "US", b"\4\0"), el(0x0020000D, "UI", b"1.2.3\0"), el(0x7FE00010, "OW", bytes(4)))
    instance = peek(data)
    assert isinstance(instance, Instance)
    assert instance.study == "1.2.3"


def test_a_stray_delimiter_is_no_tag_beyond_the_last_uid() -> None:
    head = el(0x00080016, "UI", CT) + el(0x00080018, "UI", b"1.2\0") + plain(0xFFFEE000, b"") + plain(0xFFFEE00D, b"")
    data = file(head, el(0x0020000D, "UI", b"1.2.3\0"), el(0x0020000E, "UI", b"1.2.3.4\0"), el(0x00280010, "US", b"\4\0"))
    instance = peek(data)
    assert isinstance(instance, Instance)
    assert instance.study == "1.2.3"


def test_a_missing_uid_is_only_missing_when_the_pixel_data_begins() -> None:
    data = file(el(0x00080016, "UI", CT), el(0x0020000E, "UI", b"1.2\0"), el(0x00280010, "US", b"\4\0"))
    assert peek(data) is NEED_MORE
    with pytest.raises(InstanceError, match="SOP Instance UID is missing"):
        peek(data + el(0x7FE00010, "OW", bytes(4)))


# -- who is refused

VALUE = {"sop_class": 0x00080016, "sop": 0x00080018, "study": 0x0020000D, "series": 0x0020000E}
GOOD = {"sop_class": CT, "sop": b"1.2.3.4.5\0", "study": b"1.2.3\0", "series": b"1.2.3.4\0"}
NAMES = dict(zip(VALUE, ("SOP Class UID", "SOP Instance UID", "Study Instance UID", "Series Instance UID"), strict=True))


@pytest.mark.parametrize("which", list(VALUE))
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (b"", "is empty"),
        (b"\0\0", "is empty"),
        (b"  ", "is empty"),
        (b"../../../etc/passwd\0", "is not a UID"),
        (b"1..2", "is not a UID"),
        (b"1.2.", "is not a UID"),
        (b"1.2\\3.4\0", "is not a UID"),
        (b"1.2\0.3", "is not a UID"),
        (b"1.\xd9\xa3\0", "is not a UID"),
        (b"1." + b"2" * 63 + b"\0", "is not a UID"),
    ],
)
def test_uids_that_are_none_are_refused(which: str, value: bytes, what: str) -> None:
    error = refusal(made(*(value if name == which else good for name, good in GOOD.items())))
    assert (error.reason, error.tag) == (Reason.CANNOT_UNDERSTAND, VALUE[which])
    assert error.message.partition("): ")[2].startswith(f"{NAMES[which]} {what}")
    assert "passwd" not in error.message


def test_the_longest_uid_is_one() -> None:
    assert isinstance(peek(made(study=b"1." + b"2" * 62)), Instance)


def test_what_is_known_of_a_refused_instance_is_told() -> None:
    error = refusal(made(study=b""))
    assert (error.sop, error.sop_class) == ("1.2.3.4.5", CT.decode().strip("\0"))
    error = refusal(made(sop=b"../x"))
    assert (error.sop, error.sop_class) == (None, CT.decode().strip("\0"))
    error = refusal(made()[:-12])
    assert (error.sop, error.sop_class) == ("1.2.3.4.5", CT.decode().strip("\0"))
    error = refusal(b"nothing of the kind")
    assert (error.sop, error.sop_class) == (None, None)


def test_the_data_set_counts_where_file_meta_names_another_instance() -> None:
    data = samples.ct()
    assert data.count(b"1.2.3.4.5") == 2
    found = peek(data.replace(b"1.2.3.4.5", b"1.2.3.4.6", 1), final=True)
    assert isinstance(found, Instance) and found.sop == "1.2.3.4.5"


def test_a_directory_is_refused_before_it_has_arrived() -> None:
    meta = el(0x00020002, "UI", b"1.2.840.10008.1.3.10") + el(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
    data = bytes(128) + b"DICM" + meta + el(0x00041130, "CS", b"DISC")
    with pytest.raises(InstanceError) as caught:
        peek(data)
    assert (caught.value.reason, caught.value.tag) == (Reason.SOP_CLASS_NOT_SUPPORTED, 0x00020002)


def test_a_transfer_syntax_that_is_no_uid_is_refused() -> None:
    error = refusal(made(syntax="Doe^Jane"))
    assert (error.reason, error.tag) == (Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x00020010)
    assert "Doe" not in error.message


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(200), b'{"a": 1}', bytes(300), b"DICM" * 40, bytes(128) + b"DICM"]
)
def test_what_is_not_dicom_is_refused(data: bytes) -> None:
    assert refusal(data).reason is Reason.CANNOT_UNDERSTAND


@given(st.binary(max_size=300), st.sampled_from(list(KINDS)), st.integers(0, 600), st.booleans())
def test_no_bytes_get_anything_else_out_of_it(noise: bytes, kind: str, at: int, final: bool) -> None:
    data = KINDS[kind][:at] + noise + KINDS[kind][at:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found: Any = peek(data, final=final)
        except InstanceError as error:
            found = error
    assert isinstance(found, Instance | InstanceError) or (found is NEED_MORE and not final)


# -- files that other people made


@pytest.mark.parametrize("path", readable(), ids=lambda path: path.name)
def test_it_reads_what_pydicom_reads(path: Path) -> None:
    data = path.read_bytes()
    ds = pydicom.Dataset()
    try:
        ds = pydicom.dcmread(path, force=True, specific_tags=["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
        declared = [str(ds.file_meta.get(name, "")) for name in ("TransferSyntaxUID", "MediaStorageSOPInstanceUID")]
    except (OSError, RecursionError):
        return  # only we can read it
    uids = [str(ds.get(name, "") or "") for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")]
    found: Any = None
    try:
        found = peek(data, final=True)
    except InstanceError as error:
        found = error
    if isinstance(found, InstanceError):
        assert not all(map(is_uid, uids)) or declared[1] != uids[2]
        return
    assert [found.study, found.series, found.sop, found.sop_class] == uids
    assert found.transfer_syntax == declared[0] or not declared[0]
