from __future__ import annotations

import io

import pydicom

from gateway.dicom.filemeta import IMPLEMENTATION, file_meta
from gateway.dicom.part10 import EXPLICIT
from gateway.dicomweb.resources import is_uid


def meta(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(bytes(128) + b"DICM" + data), force=True).file_meta


def test_what_the_file_said_stays_but_length_and_syntax() -> None:
    old = {0x00020000: b"\xff\xff\0\0", 0x00020003: b"1.2.3\0", 0x00020010: b"1.2.840.10008.1.2\0", 0x00020016: b"MODALITY"}
    found = meta(file_meta(old, EXPLICIT, b"1.9\0", b"1.8\0"))
    assert found.TransferSyntaxUID == EXPLICIT
    assert found.MediaStorageSOPInstanceUID == "1.2.3"
    assert found.SourceApplicationEntityTitle == "MODALITY"
    assert found.MediaStorageSOPClassUID == "1.9"


def test_the_group_length_is_right() -> None:
    data = file_meta({0x00020102: b"odd"}, EXPLICIT, b"", b"")
    assert data[:8] == b"\x02\0\0\0UL\x04\0"
    assert int.from_bytes(data[8:12], "little") == len(data) - 12
    assert len(data) % 2 == 0


def test_a_file_that_had_none_gets_all_that_the_standard_wants() -> None:
    found = meta(file_meta({}, EXPLICIT, b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.3\0"))
    assert found.FileMetaInformationVersion == b"\0\1"
    assert (found.MediaStorageSOPClassUID, found.MediaStorageSOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.2", "1.2.3")
    assert found.ImplementationClassUID == IMPLEMENTATION.decode()
    assert is_uid(IMPLEMENTATION.decode())
