"""Files below a folder of this host.

1. No link is ever followed below the folder: each part of a path is opened in the one before it, and a link is not opened. So no
   name and no link that somebody puts there leads out, also not one that is put there meanwhile.
2. Names come in the order in which object storage has them: as texts of their whole paths.
3. Hidden files are passed over, as ``*`` does in a shell; what is being written is one.
4. What was written is safe when `done` returns: the file is synced, renamed, and its folder is synced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import Forbidden, GatewayError, NotFound, OutOfStorage, StoreUnavailable
from gateway.transfers.places import PIECE, Found
from gateway.transfers.uris import Pattern

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make us wait
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """:param root: absolute; it may be a link itself, for whoever set it knows why."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._above = len(root.as_posix().strip("/")) + 1 if root != Path("/") else 0

    def listing(self, pattern: Pattern, after: str = "") -> Iterator[Found]:
        """See `Place.listing`."""
        if pattern.exact:
            yield from self._one(pattern.uri.name, after)
            return
        with _told(pattern.folder):
            try:
                descriptor = self._opened(pattern.folder, create=False)
            except FileNotFoundError:
                raise NotFound(f"there is no folder file:///{pattern.folder}") from None
        yield from (one for one in _walk(descriptor, pattern.folder, after) if pattern.matches(one.name))

    def _one(self, name: str, after: str) -> Iterator[Found]:
        folder, _, last = name.rpartition("/")
        with _told(name), self._inside(folder) as descriptor:
            found = os.stat(last, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode) and name > after:
            yield Found(name, found.st_size)

    def reading(self, name: str) -> Iterator[bytes]:
        """See `Place.reading`."""
        folder, _, last = name.rpartition("/")
        with _told(name):
            with self._inside(folder) as descriptor:
                file = os.open(last, _READ, dir_fd=descriptor)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise NotFound("it is no file")
                while piece := os.read(file, PIECE):
                    yield piece
            finally:
                os.close(file)

    def writing(self, name: str) -> Draft:
        """See `Place.writing`."""
        folder, _, last = name.rpartition("/")
        with _told(name):
            return Draft(self._opened(folder, create=True), last, name)

    @contextmanager
    def _inside(self, folder: str) -> Iterator[int]:
        descriptor = self._opened(folder, create=False)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _opened(self, folder: str, *, create: bool) -> int:
        """A folder below the root, part by part."""
        try:
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"there is no folder {self._root} (healthcare.folders)") from None
        for part in folder[self._above :].strip("/").split("/"):
            if part:
                descriptor = _below(descriptor, part, create=create)
        return descriptor


def _below(above: int, part: str, *, create: bool) -> int:
    """The folder of a name in another one, which is closed."""
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(part, 0o750, dir_fd=above)
                os.fsync(above)
        return os.open(part, _FOLDER, dir_fd=above)
    finally:
        os.close(above)


def _walk(descriptor: int, prefix: str, after: str) -> Iterator[Found]:
    """What is below a folder, which is closed. Held in memory are the names of the folders that lead to where it is."""
    try:
        for key, size in _entries(descriptor):
            name = prefix + key
            if not key.endswith("/"):
                if name > after:
                    yield Found(name, size)
            elif not after or name > after or after.startswith(name):
                try:
                    inner = os.open(key[:-1], _FOLDER, dir_fd=descriptor)
                except FileNotFoundError:
                    continue
                yield from _walk(inner, name, after)
    except OSError as error:
        raise _error(error, prefix) from None
    finally:
        os.close(descriptor)


def _entries(descriptor: int) -> list[tuple[str, int]]:
    """Names and sizes in a folder; those of folders end with a slash, and sort as they do in the names of what is in them."""
    found: list[tuple[str, int]] = []
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            with suppress(FileNotFoundError):  # it went meanwhile
                if entry.is_dir(follow_symlinks=False):
                    found.append((entry.name + "/", 0))
                elif entry.is_file(follow_symlinks=False):
                    found.append((entry.name, entry.stat(follow_symlinks=False).st_size))
    return sorted(found)


class Draft:
    """A file under a name of its own until it is whole. The name is always the same: who writes again after a kill writes over it.

    :param folder: open; closed at the end.
    """

    def __init__(self, folder: int, last: str, name: str) -> None:
        self._folder, self._last, self._name = folder, last, name
        self._hidden = f".{last}.part"
        self._open = True
        try:
            self._file = os.open(self._hidden, _WRITE, 0o640, dir_fd=folder)
        except BaseException:
            os.close(folder)
            raise

    def write(self, data: bytes) -> None:
        """See `Writing.write`."""
        with _told(self._name):
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]

    def done(self) -> None:
        """See `Writing.done`."""
        with _told(self._name):
            os.fsync(self._file)
            os.rename(self._hidden, self._last, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.fsync(self._folder)
            self._close()

    def abandon(self) -> None:
        """See `Writing.abandon`. What is there already stays."""
        if self._open:
            try:
                os.unlink(self._hidden, dir_fd=self._folder)
            finally:
                self._close()

    def _close(self) -> None:
        self._open = False  # first: a number that is closed twice may be that of another file by then
        os.close(self._file)
        os.close(self._folder)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error(error, name) from None


def _error(error: OSError, name: str) -> GatewayError:
    match error:
        case FileNotFoundError():
            return NotFound("there is no such file")
        case PermissionError():
            return Forbidden(f"file:///{name}: the gateway's user may not do that")
        case _ if error.errno in (28, 122):  # ENOSPC, EDQUOT
            return OutOfStorage(f"file:///{name}: no room left on that disk")
        case _ if error.errno in (20, 40):  # ENOTDIR, ELOOP
            return Forbidden("a link or a file stands where a folder should; links are not followed")
    return StoreUnavailable(f"file:///{name}: {os.strerror(error.errno or 0)}")
