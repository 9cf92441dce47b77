"""Files of this host: what is found, in which order, and that nothing leads out of a folder."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Forbidden, GatewayError, NotFound
from gateway.transfers.folders import Folder
from tests.transfers.given import files, pattern, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("a/b/c.dcm", "a/b.dcm", "a/b-c.dcm", "a/bb/d.dcm", "a/ü.dcm", "a.dcm", "a/.hidden", "a/.git/x.dcm"):
        write(root, name, name.encode())
    write(tmp_path, "secret/s.dcm", b"secret")
    return root


def name_of(path: Path) -> str:
    return path.as_posix()[1:]


def listed(root: Path, wild: str, after: str = "") -> list[str]:
    found = Folder(root).listing(pattern(f"file://{root}/{wild}"), after and f"{name_of(root)}/{after}")
    return [one.name.removeprefix(name_of(root) + "/") for one in found]


SORTED = ["a.dcm", "a/b-c.dcm", "a/b.dcm", "a/b/c.dcm", "a/bb/d.dcm", "a/ü.dcm"]


def test_files_come_in_the_order_of_their_whole_names(root: Path) -> None:
    assert listed(root, "**") == sorted(SORTED) == SORTED
    assert listed(root, "a/*.dcm") == ["a/b-c.dcm", "a/b.dcm", "a/ü.dcm"]
    assert listed(root, "a/b.dcm") == ["a/b.dcm"]


@pytest.mark.parametrize("after", SORTED)
def test_a_list_goes_on_behind_any_name(root: Path, after: str) -> None:
    assert listed(root, "**.dcm", after) == SORTED[SORTED.index(after) + 1 :]


@given(
    names=st.sets(
        st.text("ab.-/", min_size=1, max_size=6).filter(lambda n: "//" not in n and n[0] not in "./" and n[-1] != "/" and "/." not in n)
    )
)
def test_order_and_going_on_hold_for_any_names(names: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("names")
    for name in sorted(names):
        if not any(other.startswith(name + "/") for other in names):
            write(root, name, b"")
    whole = listed(root, "**")
    assert whole == sorted(files(root))
    for number, name in enumerate(whole):
        assert listed(root, "**", name) == whole[number + 1 :]


def test_sizes_are_told_and_files_are_read_in_pieces(root: Path) -> None:
    write(root, "large", bytes(700_000))
    (found,) = Folder(root).listing(pattern(f"file://{root}/large"))
    pieces = list(Folder(root).reading(found.name))
    assert found.size == 700_000 and b"".join(pieces) == bytes(700_000) and max(map(len, pieces)) <= 256 << 10


def test_links_are_not_followed_and_what_is_no_file_is_none(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "link.dcm").symlink_to(tmp_path / "secret" / "s.dcm")
    (root / "a" / "out").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "pipe.dcm")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(root)  # the name of a socket is short
        listener.bind("s.dcm")
    assert listed(root, "**") == SORTED
    folder = Folder(root)
    for name in ("link.dcm", "a/out/s.dcm", "pipe.dcm"):
        assert listed_or_refused(root, name) == []
        with pytest.raises((Forbidden, NotFound)):
            list(folder.reading(f"{name_of(root)}/{name}"))
    with pytest.raises(Forbidden):
        folder.writing(f"{name_of(root)}/a/out/new.dcm")
    assert files(tmp_path / "secret") == {"s.dcm": b"secret"}


def listed_or_refused(root: Path, name: str) -> list[str]:
    try:
        return listed(root, name)
    except Forbidden:
        return []


def test_a_link_in_place_of_what_is_written_is_not_written_through(root: Path, tmp_path: Path) -> None:
    (root / ".new.dcm.part").symlink_to(tmp_path / "secret" / "s.dcm")
    with pytest.raises(Forbidden):
        Folder(root).writing(f"{name_of(root)}/new.dcm")
    (root / "over.dcm").symlink_to(tmp_path / "secret" / "s.dcm")
    draft = Folder(root).writing(f"{name_of(root)}/over.dcm")
    draft.write(b"ours")
    draft.done()
    assert (root / "over.dcm").read_bytes() == b"ours" and not (root / "over.dcm").is_symlink()
    assert files(tmp_path / "secret") == {"s.dcm": b"secret"}


def test_a_file_is_there_when_it_is_whole(root: Path) -> None:
    write(root, "new/x.dcm", b"old")
    draft = Folder(root).writing(f"{name_of(root)}/new/x.dcm")
    draft.write(b"half")
    assert (root / "new" / "x.dcm").read_bytes() == b"old"
    draft.write(b" whole")
    draft.done()
    draft.abandon()  # too late
    assert files(root / "new") == {"x.dcm": b"half whole"}


def test_what_is_abandoned_leaves_nothing(root: Path) -> None:
    draft = Folder(root).writing(f"{name_of(root)}/new/x.dcm")
    draft.write(b"half")
    draft.abandon()
    assert files(root / "new") == {}


def test_who_writes_again_after_a_kill_takes_the_place_of_what_was_left(root: Path) -> None:
    write(root, "new/.x.dcm.part", b"left behind by somebody who is gone")
    draft = Folder(root).writing(f"{name_of(root)}/new/x.dcm")
    draft.write(b"whole")
    draft.done()
    assert files(root / "new") == {"x.dcm": b"whole"}


def test_no_descriptor_stays_open(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are all that is wanted
    listed(root, "**")
    walk = Folder(root).listing(pattern(f"file://{root}/**"))
    next(walk)
    walk.close()  # type: ignore[attr-defined]  # a generator
    list(Folder(root).reading(f"{name_of(root)}/a.dcm"))
    Folder(root).writing(f"{name_of(root)}/a.dcm").abandon()
    with pytest.raises(GatewayError):
        Folder(root).writing(f"{name_of(root)}/a.dcm/x")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - likewise


@pytest.mark.parametrize(("name", "kind"), [("none/x", NotFound), ("none", NotFound), ("a.dcm/x", Forbidden)])
def test_what_is_not_there_is_said(root: Path, name: str, kind: type[GatewayError]) -> None:
    with pytest.raises(kind):
        list(Folder(root).reading(f"{name_of(root)}/{name}"))


def test_a_root_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"healthcare\.folders"):
        list(Folder(tmp_path / "gone").listing(pattern(f"file://{tmp_path}/gone/**")))


def test_the_root_of_all_is_a_root(tmp_path: Path) -> None:
    write(tmp_path, "x.dcm", b"x")
    assert [one.size for one in Folder(Path("/")).listing(pattern(f"file://{tmp_path}/*.dcm"))] == [1]
