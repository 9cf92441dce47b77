"""A viewer for browsers (OHIF) at /viewer/, out of a folder that `make viewer` fills, set up for the stores of this gateway.

Rules:
1. Only files that were there when the gateway started are found, by their whole names: no path of a request reaches the disk.
2. What carries a hash in its name never changes and is kept by browsers for a year. All else is asked for again each time,
   with an ETag.
3. A file goes out by sendfile, as it lies there: compressed where a neighbour with .zst or .gz says what it is compressed.
4. The page is loaded from the gateway and may ask nobody else (Content-Security-Policy): no fonts, no statistics, no models.
   It knows where it is by the URL of its own scripts, so that it works behind any prefix of a proxy.
5. Nothing here is about patients, so nobody is asked who they are; the stores that the viewer asks do that.

The page is not cross-origin isolated: nothing in it waits for shared memory, and an isolated page may not show a PDF of /rendered.
"""

from __future__ import annotations

import asyncio
import os
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath

import orjson
from aiohttp import hdrs, web
from yarl import URL

from gateway.backends.base import Body, FileSlice, Piece
from gateway.errors import NotFound, StoreUnavailable
from gateway.web import documents
from gateway.web.conditional import Validators, tag, unchanged
from gateway.web.encoding import Coding, wanted
from gateway.web.public_url import public_root
from gateway.web.sending import send
from gateway.web.service import Service

PLACE = "/viewer"
"""Where the viewer is, below the gateway's public URL."""

PAGE, CONFIG = "index.html", "app-config.js"

HTML, SCRIPT = "text/html; charset=utf-8", "text/javascript; charset=utf-8"
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": HTML,
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": SCRIPT,
    ".json": "application/json",
    ".jsonc": "application/json",
    ".mjs": SCRIPT,
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webapp": "application/manifest+json",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
"""Of the files of a viewer by their suffix; nosniff makes browsers believe it."""

OCTETS = "application/octet-stream"
MEDIA = tuple(sorted({*TYPES.values(), OCTETS} - {HTML}))
"""What files are beside the page."""

SUFFIXES: Mapping[Coding, str] = {"zstd": ".zst", "gzip": ".gz"}
"""What the name of a compressed neighbour ends in."""

FOR_EVER = "public, max-age=31536000, immutable"
_HASHED = re.compile(r"(?:^|[./-])[0-9a-f]{16,}\.")

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_WORKER = re.compile(r"<script[^>]*init-service-worker\.js[^>]*></script>")
_PUBLIC = re.compile(r'window\.PUBLIC_URL="([^"]*)"')

_ASSETS = Path(__file__).parent / "assets"
_TEMPLATE = (_ASSETS / CONFIG).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Source:
    """A store as the viewer sees it.

    :param path: of its DICOMweb services, below the gateway's public URL, without a slash in front. :param uri: of WADO-URI likewise.
    """

    name: str
    path: str
    uri: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of the viewer. :param coded: codings that it also lies there in."""

    path: str
    media_type: str
    coded: tuple[Coding, ...]
    lasting: bool


class Viewer:
    """What is in the folder; the constructor reads it, and blocks.

    :param folder: holds index.html and what belongs to it.
    :param sources: the stores, that one first which is shown first.
    :param bearer: whether callers are asked for tokens.
    :raises StoreUnavailable: when the folder holds no viewer.
    """

    def __init__(self, folder: Path, sources: Sequence[Source], *, bearer: bool = False) -> None:
        self.files = dict(_found(folder))
        try:
            self._html = _WORKER.sub("", (folder / PAGE).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            raise StoreUnavailable(f"server.viewer: {folder} holds no {PAGE} that can be read") from None
        stated = _PUBLIC.search(self._html)
        self._built_for = stated[1] if stated else "/"
        self.config = settings_of(sources, bearer=bearer)
        self.page = lru_cache(maxsize=16)(self._page)

    def _page(self, place: str) -> tuple[bytes, str]:
        """The page for a viewer at that path, and its Content-Security-Policy."""
        html = self._html.replace(f'="{self._built_for}', f'="{place}')
        return html.encode(), policy(_INLINE.findall(html))


VIEWER: web.AppKey[Viewer | None] = web.AppKey("viewer", Viewer)


def settings_of(sources: Sequence[Source], *, bearer: bool) -> bytes:
    """The script that tells the viewer of the stores."""
    stores = orjson.dumps([asdict(one) for one in sources]).decode()
    return _TEMPLATE.replace("[/* stores */]", stores).replace("/* bearer */", "true" if bearer else "false").encode()


def policy(scripts: Sequence[str]) -> str:
    """What the page may load and ask (Content-Security-Policy 3): itself and its own origin.

    :param scripts: those that stand in the page, which are allowed by their hashes.
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    own = "'self' blob: data:"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'unsafe-eval' {hashes}".rstrip(),  # OHIF compiles its readers of arrays, and codecs, as it goes
            "worker-src 'self' blob:",  # codecs and tools that are bundled as text
            "style-src 'self' 'unsafe-inline'",  # React writes styles into elements
            f"img-src {own}",
            f"connect-src {own}",
            "font-src 'self' data:",
            "media-src 'self' blob:",
            "object-src 'self' blob:",  # PDF documents
            "frame-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


def _found(folder: Path) -> Iterator[tuple[str, File]]:
    """Regular files below a folder by their names in URLs; links are passed over, for they lead anywhere."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    for name in names:
        coded = tuple(coding for coding, suffix in SUFFIXES.items() if name + suffix in names)
        kind = TYPES.get(PurePosixPath(name).suffix, OCTETS)
        yield name, File(str(folder / name), kind, coded, _HASHED.search(name) is not None)


# -- answers


async def page(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /viewer/``: the page, for every address that the viewer makes up for itself as well."""
    root = URL(public_root(request, service.public_url, service.trusted_proxies)).raw_path.rstrip("/")
    html, allowed = _viewer(request).page(f"{root}{PLACE}/")
    response = await documents.found(request, service, html, HTML, Validators(tag(html)))
    response.headers.update(
        {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": allowed,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",  # addresses of the viewer hold UIDs
        }
    )
    return response


async def file(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /viewer/{file}``: a file of the viewer; what has no suffix is an address of the viewer's own.

    :raises NotFound: when there is no such file, or no viewer at all.
    """
    viewer, name = _viewer(request), request.match_info["file"]
    if name == CONFIG:
        response = await documents.found(request, service, viewer.config, SCRIPT, Validators(tag(viewer.config)))
        response.headers["Cache-Control"] = "no-cache"
        return response
    found = viewer.files.get(name)
    if found is None and "." in name.rpartition("/")[2]:
        raise NotFound("the viewer has no such file")
    if found is None or name == PAGE:
        return await page(request, service)
    return await _sent(request, found)


def _viewer(request: web.Request) -> Viewer:
    viewer = request.app[VIEWER]
    if viewer is None:
        raise NotFound("no viewer is set up here: `make viewer` gets one, and `serve --viewer data/viewer` offers it")
    return viewer


async def _sent(request: web.Request, found: File) -> web.StreamResponse:
    want = wanted(request.headers.getall(hdrs.ACCEPT_ENCODING, ())).coding
    coding = want if want in found.coded else None
    try:
        descriptor, size, changed = await asyncio.to_thread(_opened, found.path + (SUFFIXES[coding] if coding else ""))
    except OSError:
        raise NotFound("the viewer has no such file any more; restart the gateway after `make viewer`") from None
    validators = Validators(f"{changed:x}-{size:x}{f'-{coding}' if coding else ''}")
    headers = {
        "Cache-Control": FOR_EVER if found.lasting else "no-cache",
        "Vary": "Accept-Encoding",
        "Cross-Origin-Resource-Policy": "same-origin",
        **validators.headers,
        **({"Content-Encoding": coding} if coding else {}),
    }
    if unchanged(request, validators):
        os.close(descriptor)
        return web.Response(status=304, headers=headers)
    return await send(request, _body(found, descriptor, size), headers=headers)


def _opened(path: str) -> tuple[int, int, int]:
    """A descriptor, the length in bytes, and the nanosecond of the last change."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    state = os.fstat(descriptor)
    return descriptor, state.st_size, state.st_mtime_ns


def _body(found: File, descriptor: int, size: int) -> Body:
    left = [descriptor]

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield FileSlice(left.pop(), 0, size)

    def close() -> None:
        if left:
            os.close(left.pop())

    return Body(found.media_type, pieces(), length=size, instances=0, close=close)
