"""A folder that looks like a viewer: a page, scripts with and without a hash in their names, and what lies beside them."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HASHED = "app.bundle.0123456789abcdef.js"
SCRIPT = b"// a script of the viewer\n" * 200
PAGE = """<!doctype html><html><head><link rel="icon" href="/assets/icon.png"><script>window.PUBLIC_URL="/"</script>
<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script><script src="/app-config.js"></script>
<script defer src="/app.bundle.0123456789abcdef.js"></script><a href="//elsewhere.example/">x</a></head><body></body></html>
"""
SMALL = {
    "app.css": b"body{}",
    "codec.wasm": b"\0asm",
    "assets/icon.png": b"\x89PNG",
    "LICENSE": b"MIT",
    "lang/text.json": b"{}",
}


def viewer(folder: Path) -> Path:
    """Makes one; a link in it leads out."""
    made = folder / "viewer"
    (made / "assets").mkdir(parents=True)
    (made / "lang").mkdir()
    (made / "index.html").write_text(PAGE)
    for name, data in {HASHED: SCRIPT, **SMALL}.items():
        (made / name).write_bytes(data)
    (made / f"{HASHED}.gz").write_bytes(gzip.compress(SCRIPT))
    (made / f"{HASHED}.zst").write_bytes(zstd.compress(SCRIPT))
    (folder / "secret.txt").write_text("of the host")
    (made / "link.txt").symlink_to(folder / "secret.txt")
    return made
