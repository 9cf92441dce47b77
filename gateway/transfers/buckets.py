"""Buckets of object storage, Google's (``gs://``) and those that speak S3 (``s3://``), through obstore.

1. Credentials are those of the environment or of the instance, as obstore looks for them; they are never set here and never told.
   Nor is what a bucket answers: it repeats the request, and that names the key. Errors are told in words of ours.
2. Everything blocks, and is called in threads. obstore could be awaited, but version 0.12 then ends the whole process (SIGABRT)
   when the interpreter ends shortly after an answer came; that was seen in half of all runs.
3. A file of up to `PART` is one request; a larger one goes out in parts, of which `PARTS` are held in memory. One that breaks off
   is taken back, so that no half of it stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, S3Store

from gateway.errors import BadRequest, Forbidden, GatewayError, NotFound, OriginFailed
from gateway.transfers.places import BATCH, PIECE, Found
from gateway.transfers.uris import Pattern, Uri

PART = 5 << 20
"""Bytes of a part: the fewest that S3 takes. It takes 10,000 of them, so files of 50 GB, thrice what an instance may have."""

PARTS = 2
"""Parts of a file on their way at once, beside the one that is gathered: 15 MiB a file, and eight files are written at once."""

TRIES = 4
PATIENCE = timedelta(seconds=20)
"""For an answer to begin, for each read of one, and for all tries together: a bucket that is silent is told of while somebody waits."""

_RETRY: Any = {"max_retries": TRIES, "retry_timeout": PATIENCE}
_FOR_EVER = "365d"
"""For one whole answer: an instance may be large. That it goes on is what `read_timeout` looks after."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where else than at Google's and Amazon's the buckets are; None for there, or what the environment says.

    :param gcs: for ``gs://``. :param s3: for ``s3://``.
    """

    gcs: str | None = None
    s3: str | None = None

    def bucket(self, uri: Uri) -> Bucket:
        """Blocks: credentials may lie in files.

        :raises OriginFailed: when what the environment says cannot be used.
        """
        where = f"{uri.scheme}://{uri.bucket}"
        endpoint = self.gcs if uri.scheme == "gs" else self.s3
        plain = bool(endpoint and endpoint.startswith("http://"))
        client: Any = {"connect_timeout": "5s", "read_timeout": PATIENCE, "timeout": _FOR_EVER}
        if plain:  # what the environment says stays as it is
            client["allow_http"] = True
        with _told(where):
            if uri.scheme == "gs":
                given: Any = {"base_url": endpoint} if endpoint else {}
                return Bucket(GCSStore(uri.bucket, client_options=client, retry_config=_RETRY, **given), where)
            given = {"endpoint": endpoint} if endpoint else {}
            return Bucket(S3Store(uri.bucket, client_options=client, retry_config=_RETRY, **given), where)


class Bucket:
    """:param where: its URI, for messages."""

    def __init__(self, store: GCSStore | S3Store, where: str) -> None:
        self._store = store
        self._where = where

    def listing(self, pattern: Pattern, after: str = "") -> Iterator[Found]:
        """See `Place.listing`. A bucket gives names in their order, from any one on."""
        with _told(self._where):
            if pattern.exact:
                if pattern.uri.name > after:
                    yield Found(pattern.uri.name, obstore.head(self._store, pattern.uri.name)["size"])
                return
            for chunk in obstore.list(self._store, pattern.folder or None, offset=after or None, chunk_size=BATCH):
                for one in chunk:
                    if one["path"] > after and pattern.matches(one["path"]):
                        yield Found(one["path"], one["size"])

    def reading(self, name: str) -> Iterator[bytes]:
        """See `Place.reading`."""
        with _told(self._where):
            for piece in obstore.get(self._store, name).stream(min_chunk_size=PIECE):
                yield bytes(piece)

    def writing(self, name: str) -> Upload:
        """See `Place.writing`."""
        return Upload(self._store, name, self._where)


class Upload:
    """A file on its way into a bucket."""

    def __init__(self, store: GCSStore | S3Store, name: str, where: str) -> None:
        self._where = where
        self._writer = obstore.open_writer(store, name, buffer_size=PART, max_concurrency=PARTS)

    def write(self, data: bytes) -> None:
        """See `Writing.write`."""
        with _told(self._where):
            self._writer.write(data)

    def done(self) -> None:
        """See `Writing.done`."""
        with _told(self._where):
            self._writer.close()

    def abandon(self) -> None:
        """See `Writing.abandon`."""
        with _told(self._where):
            self._writer.__exit__(InterruptedError, InterruptedError(), None)  # the only way to say that it is not wanted


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, FileNotFoundError, ValueError, OSError) as error:
        raise _error(error, where) from None


_LOST = ("/latest/api/token", "/latest/meta-data/", "/computeMetadata/", "token request")
"""What obstore's errors have when it looked everywhere for credentials: an instance has them at such an address."""

_REFUSED = ("401 Unauthorized", "403 Forbidden")
"""What they have when a list is refused; other calls have errors of their own for that."""


def _error(error: Exception, where: str) -> GatewayError:
    text = str(error)
    if isinstance(error, InvalidPathError):
        return BadRequest(f"{where} has a name that cannot be read: one with an empty part (//), or one that is . or ..")
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        return NotFound(f"there is no bucket {where}, or not at that endpoint; make it, or look for a mistake in the name")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"there is no such object in {where}")
    if any(one in text for one in _LOST):
        return Forbidden(f"no credentials for {where} were found: {_SOURCES[where[:2]]}")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or any(one in text for one in _REFUSED):
        return Forbidden(f"{where} does not let this gateway in: {_ROLE[where[:2]]}")
    return OriginFailed(f"{where} cannot be reached or answered with an error ({type(error).__name__}); try again, or look at its log")


_ROLE = {
    "gs": "give the account of its credentials roles/storage.objectViewer to read there, roles/storage.objectAdmin to write",
    "s3": "give the owner of its key s3:ListBucket and s3:GetObject to read there, s3:PutObject to write",
}
_SOURCES = {
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run where an instance has a service account",
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where an instance has a role",
}
