"""The command line for whole stores: out into files, and in again, from disk and from buckets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.exits import FAILED, MISCONFIGURED, OK
from tests.backends.made import dicom, study
from tests.transfers import storage
from tests.transfers.given import files, write

Run = Callable[..., tuple[int, str, str]]
STUDIES = [*study("1.2"), *study("1.10", series=1)]
NAMES = [
    *("1.10/1.10.1/1.10.1.1.dcm", "1.10/1.10.1/1.10.1.2.dcm", "1.2/1.2.1/1.2.1.1.dcm", "1.2/1.2.1/1.2.1.2.dcm"),
    *("1.2/1.2.2/1.2.2.1.dcm", "1.2/1.2.2/1.2.2.2.dcm"),
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder with no settings; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Path:
    for number, data in enumerate(STUDIES):
        write(tmp_path / "scans", f"{number}.dcm", data)
    assert run("import", "scans", "--data", "d")[0] == OK
    return tmp_path


def test_a_store_is_written_as_files_and_comes_back(run: Run, filled: Path) -> None:
    code, out, _ = run("export", "out", "--data", "d")
    assert (code, out) == (OK, "6 of 6 instances are in out\n")
    written = files(filled / "out")
    assert list(written) == NAMES and sorted(written.values()) == sorted(STUDIES)
    assert run("import", "out", "--data", "again")[1].startswith("6 stored, 0 refused")


def test_what_is_there_with_the_same_content_is_left_alone(run: Run, filled: Path) -> None:
    run("export", "out", "--data", "d")
    kept, hurt, short = (filled / "out" / name for name in NAMES[:3])
    before = kept.stat()
    good = hurt.read_bytes()
    hurt.write_bytes(bytes(len(good)))
    short.write_bytes(b"short")
    write(filled / "out", "other.txt", b"not ours")
    assert run("export", "out", "--data", "d")[0] == OK
    assert hurt.read_bytes() == good and short.stat().st_size > 5 and (filled / "out" / "other.txt").read_bytes() == b"not ours"
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_some_studies_or_series_and_what_is_not_there(run: Run, filled: Path) -> None:
    assert run("export", "a", "--data", "d", "--study", "1.2", "--series", "1.2.2")[0] == OK
    assert list(files(filled / "a")) == NAMES[4:]
    code, out, _ = run("export", "b", "--data", "d", "--study", "1.10", "--study", "7.7")
    assert (code, list(files(filled / "b"))) == (FAILED, NAMES[:2])
    assert "/studies/7.7\tthere is no such thing in this store\n" in out and "2 of 3 instances are in b" in out


def test_in_another_transfer_syntax_or_metadata_only(run: Run, filled: Path) -> None:
    assert run("export", "rle", "--data", "d", "--study", "1.10", "--transfer-syntax", "1.2.840.10008.1.2.5")[0] == OK
    assert all(b"1.2.840.10008.1.2.5" in data[:400] for data in files(filled / "rle").values())
    assert run("export", "lines", "--data", "d", "--metadata")[0] == OK
    lines = files(filled / "lines")["1.10.ndjson"].splitlines()
    assert [json.loads(line)["00080018"]["Value"] for line in lines] == [["1.10.1.1"], ["1.10.1.2"]]


@pytest.fixture(scope="module")
def server() -> Iterator[storage.S3]:
    with storage.s3() as found:
        found.make("bucket")
        yield found


def test_buckets_are_places_too(run: Run, filled: Path, server: storage.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**storage.KEYS, "GATEWAY_HEALTHCARE__S3_ENDPOINT": server.root}.items():
        monkeypatch.setenv(name, value)
    assert run("export", "s3://bucket/out", "--data", "d")[0] == OK
    assert run("export", "s3://bucket/out", "--data", "d")[0] == OK
    server.put("bucket", "out/x.dcm", b"no instance" * 40)
    write(filled, "more.dcm", dicom("3.3"))
    code, out, _ = run("import", "s3://bucket/out/", "more.dcm", "--data", "again")
    assert code == FAILED and out.endswith("7 stored, 1 refused, of 8 files\n") and out.startswith("out/x.dcm\t")
    code, _, said = run("import", "s3://none-of-that-name/**", "--data", "again")
    assert code == FAILED and "there is no bucket s3://none-of-that-name" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "x", "--store", "other"], "there is no store 'other'"),
        (["export", "x", "--series", "1.2.1"], "--series is of one --study"),
        (["export", "x", "--study", "no"], "not a UID"),
        (["export", "x", "--transfer-syntax", "no"], "UID or *"),
        (["export", "x", "--metadata", "--transfer-syntax", "1.2"], "leave one of the two out"),
        (["export", "http://x/y"], "begins with gs://"),
        (["export", "a*"], "without wildcards"),
        (["import", "gs://bucket/**/x"], "has ** elsewhere"),
        (["import"], "name at least one file"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, words: list[str], said: str) -> None:
    code, _, err = run(*words)
    assert code == MISCONFIGURED and said in err
