"""Object storage for tests: moto's S3 as a process, and a small one that speaks as Google's does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.error import URLError
from urllib.parse import unquote
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

from aiohttp import web

from tests.running import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "key-of-nobody", "AWS_SECRET_ACCESS_KEY": "secret-of-nobody", "AWS_REGION": "us-east-1"}
TOKEN = "token-of-nobody"


class S3:
    """moto's server. :param root: its URL."""

    def __init__(self, root: str) -> None:
        self.root = root

    def make(self, bucket: str) -> None:
        self._ask("PUT", bucket)

    def put(self, bucket: str, name: str, data: bytes) -> None:
        self._ask("PUT", f"{bucket}/{name}", data)

    def get(self, bucket: str, name: str) -> bytes:
        return self._ask("GET", f"{bucket}/{name}")

    def uploads(self, bucket: str) -> int:
        """How many are neither whole nor taken back."""
        return self._ask("GET", f"{bucket}?uploads").count(b"<Upload>")

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        with urlopen(Request(f"{self.root}/{path}", data, method=method), timeout=30) as answer:
            return bytes(answer.read())


@contextmanager
def s3() -> Iterator[S3]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port), "-H", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found = S3(f"http://127.0.0.1:{port}")
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            try:
                found._ask("GET", "moto-api/")
                break
            except URLError:
                time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait()


@dataclass
class Gcs:
    """What Google's XML API does for one bucket, and how it was asked."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    root: str = ""
    bucket: str = "bucket"

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.raw_path}")
        bucket, _, name = unquote(request.raw_path.partition("?")[0][1:]).partition("/")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        if bucket != self.bucket:
            return web.Response(status=404, text="<Error><Code>NoSuchBucket</Code></Error>")
        if not name:
            return self._list(request)
        if request.method in ("GET", "HEAD"):
            return self._get(name)
        return self._written(request, name, await request.read())

    def _list(self, request: web.Request) -> web.Response:
        prefix, after = request.query.get("prefix", ""), request.query.get("start-after", "")
        names = sorted(name for name in self.objects if name.startswith(prefix) and name > after)
        row = "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag></Contents>"
        rows = "".join(row.format(escape(name), len(self.objects[name])) for name in names)
        return web.Response(text=f"<ListBucketResult>{rows}</ListBucketResult>", content_type="application/xml")

    def _get(self, name: str) -> web.Response:
        if name not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        headers = {"ETag": "e", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        return web.Response(body=self.objects[name], headers=headers)

    def _written(self, request: web.Request, name: str, body: bytes) -> web.Response:
        upload = request.query.get("uploadId", "")
        if request.method == "DELETE":
            self.parts.pop(upload, None)
            return web.Response(status=204)
        if "uploads" in request.query:
            self.parts[upload := f"u{len(self.asked)}"] = {}
            return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        if request.method == "POST":
            parts = self.parts.pop(upload)
            self.objects[name] = b"".join(parts[number] for number in sorted(parts))
            return _xml("CompleteMultipartUploadResult", "<ETag>e</ETag>")
        if upload:
            self.parts[upload][int(request.query["partNumber"])] = body
        else:
            self.objects[name] = body
        return web.Response(headers={"ETag": "e"})


def _xml(name: str, inside: str) -> web.Response:
    return web.Response(text=f"<{name}>{inside}</{name}>", content_type="application/xml")


@asynccontextmanager
async def gcs() -> AsyncIterator[Gcs]:
    found = Gcs()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{rest:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()
