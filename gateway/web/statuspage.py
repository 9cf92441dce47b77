"""The HTML of the status page. Every word that does not stand in this file goes through `escape`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.web.figures import Lately, Traffic
from gateway.web.service import VERSION

if TYPE_CHECKING:
    from gateway.web.status import Facts, StoreFacts

REFRESH, SOON = 10, 6
"""Seconds until a browser asks again, and after the first look, which has no figures yet."""

_ASSETS = Path(__file__).parent / "assets"
STYLE, ICON = (_ASSETS / "status.css").read_text(encoding="utf-8"), (_ASSETS / "icon.svg").read_bytes()

POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page loads nothing but itself (Content-Security-Policy 3); its style is allowed by its hash."""

_BREAKERS = {1.0: "the origin is being tried again", 2.0: "the origin is left alone for a moment, after failures in a row"}
_NAMES = {
    "store": "Store (STOW-RS)",
    "search": "Search (QIDO-RS)",
    "retrieve": "Instances (WADO-RS)",
    "metadata": "Metadata",
    "frames": "Frames",
    "bulkdata": "Bulk data",
    "rendered": "Rendered and thumbnails",
    "delete": "Delete",
    "capabilities": "Capabilities",
    "health": "Health probes",
    "page": "Pages and viewer",
    "other": "Other",
}
DASH = "\N{EN DASH}"


def outside(facts: Facts, draining: bool, viewer: bool) -> str:
    """What everybody may see."""
    note = "<p class=note>Callers are asked for a token here. With one in <code>Authorization: Bearer</code> this page says more.</p>"
    return _document(_head(facts, draining, "") + _links(viewer, inside=False) + note)


def of(facts: Facts, *, draining: bool, viewer: bool) -> str:
    """All of it."""
    head = _head(facts, draining, f"<span class=version>{escape(VERSION)}</span>")
    body = head + _cards(facts) + _stores(facts, viewer) + _traffic(facts.lately) + _links(viewer, inside=True)
    return _document(body, REFRESH if facts.lately else SOON)


def _document(body: str, refresh: int = REFRESH) -> str:
    return (
        '<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">'
        f'<meta name=color-scheme content="light dark"><meta http-equiv=refresh content={refresh}><title>DICOMweb gateway</title>'
        f"<link rel=icon href=favicon.ico><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(facts: Facts, draining: bool, version: str) -> str:
    kind, word = ("warn", "draining") if draining else ("good", "ready") if facts.ready else ("bad", "not ready")
    return f"<header><h1>DICOMweb gateway {version}</h1>{_badge(kind, word)}</header>"


def _badge(kind: str, word: str) -> str:
    return f'<span class="badge {kind}">{escape(word)}</span>'


# -- numbers on top


def _cards(facts: Facts) -> str:
    lately = facts.lately
    now = ("Being answered", number(max(0.0, facts.sample.in_flight - 1)), "requests")  # without the one for this page
    if lately is None:
        return _row([now, ("Lately", DASH, "figures come with the next look")])
    every = lately.all
    mean = f"{1000 * every.seconds / every.requests:.1f} ms" if every.requests else DASH
    failed = f"{number(every.failed)} failed" if every.failed else "none failed"
    return _row(
        [
            ("Requests", f"{rate(every.requests / lately.seconds)}/s", failed),
            ("Sent", f"{size(every.sent / lately.seconds)}/s", f"{size(every.sent)} {_while(lately)}"),
            ("Received", f"{size(every.received / lately.seconds)}/s", f"{size(every.received)} {_while(lately)}"),
            ("Time to answer", mean, "on average"),
            now,
        ]
    )


def _row(cards: Iterable[tuple[str, str, str]]) -> str:
    made = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>" for name, value, note in cards)
    return f"<dl class=cards>{''.join(made)}</dl>"


def _while(lately: Lately) -> str:
    return f"in {lately.seconds:.0f} s" if lately.seconds < 100 else f"in {lately.seconds / 60:.0f} min"


# -- stores


def _stores(facts: Facts, viewer: bool) -> str:
    rows = "".join(_store(one, facts, viewer) for one in facts.stores)
    names = ("Store", "State", "Studies", "Series", "Instances", "Bytes", "From cache")
    return f"<h2>Stores</h2>{_table(names, rows, numbers_from=2)}"


def _store(one: StoreFacts, facts: Facts, viewer: bool) -> str:
    name, tally = one.shown.name, one.tally
    link = f' <a href="viewer/?datasources={quote(name, safe="")}">open in the viewer</a>' if viewer else ""
    label = f"<strong>{escape(name)}</strong><small>{escape(one.shown.kind)}<br><code>/{escape(one.shown.path)}</code>{link}</small>"
    counts = [DASH] * 4 if tally is None else [number(tally.studies), number(tally.series), number(tally.instances), _bytes(tally.size)]
    kept = facts.lately.kept.get(name) if facts.lately else None
    kept = kept if kept and kept.share is not None else facts.sample.kept.get(name)
    share = DASH if kept is None or kept.share is None else f"{100 * kept.share:.0f} %"
    return _cells([label, _state(one, facts), *map(escape, counts), escape(share)], numbers_from=2)


def _state(one: StoreFacts, facts: Facts) -> str:
    health, name = one.health, one.shown.name
    kind, word = ("bad", "not ready") if not health.ready else ("warn", "read only") if not health.writable else ("good", "ready")
    notes = [health.detail] if health.detail else []
    breaker = facts.sample.breakers.get(name, 0.0)
    if breaker in _BREAKERS:
        notes.append(_BREAKERS[breaker])
    waiting = facts.sample.waiting.get(name)
    if waiting and (waiting.instances or waiting.dead):
        notes.append(f"{number(waiting.instances)} instances wait to be delivered, the oldest for {duration(waiting.oldest)}")
        if waiting.dead:
            notes.append(f"{number(waiting.dead)} were set aside")
    return _badge(kind, word) + (f"<small>{escape('; '.join(notes))}</small>" if notes else "")


def _bytes(count: int | None) -> str:
    return DASH if count is None else size(count)


# -- what was asked for


def _traffic(lately: Lately | None) -> str:
    if lately is None or not lately.traffic:
        return ""
    rows = "".join(_cells(_asked(name, one), numbers_from=1) for name, one in lately.traffic.items())
    names = ("What", "Requests", "Failed", "Average", "Sent", "Received")
    return f"<h2>Asked for <small>{_while(lately)}</small></h2>{_table(names, rows, numbers_from=1)}"


def _asked(name: str, one: Traffic) -> list[str]:
    mean = f"{1000 * one.seconds / one.requests:.1f} ms"
    cells = (_NAMES.get(name, name), number(one.requests), number(one.failed), mean, size(one.sent), size(one.received))
    return [escape(cell) for cell in cells]


# -- links


def _links(viewer: bool, *, inside: bool) -> str:
    links = [("viewer/", "Viewer", "look at studies in the browser")] if viewer else []
    if inside:
        links += [
            ("openapi.json", "OpenAPI", "every route, for tools"),
            ("metrics", "Metrics", "for Prometheus"),
            ("version", "Version", "as JSON"),
        ]
    links.append(("readyz" if inside else "healthz", "Health", "as load balancers see it"))
    made = (f'<li><a href="{href}">{name}</a> <small>{what}</small>' for href, name, what in links)
    without = "" if viewer else "<p class=note>A viewer: <code>make viewer</code>, then <code>serve --viewer data/viewer</code>.</p>"
    return f"<h2>Elsewhere</h2><ul class=links>{''.join(made)}</ul>{without if inside else ''}"


# -- pieces


def _table(names: Sequence[str], rows: str, *, numbers_from: int) -> str:
    heads = "".join(f"<th{' class=n' if at >= numbers_from else ''}>{name}" for at, name in enumerate(names))
    return f"<div class=wide><table><thead><tr>{heads}<tbody>{rows}</table></div>"


def _cells(cells: Sequence[str], *, numbers_from: int) -> str:
    return "<tr>" + "".join(f"<td{' class=n' if at >= numbers_from else ''}>{cell}" for at, cell in enumerate(cells))


def number(value: float) -> str:
    """``12,345``."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """With a decimal where it is small: ``0.2``, ``17``."""
    return f"{value:.1f}" if value < 10 else number(value)


def size(count: float) -> str:
    """Bytes with three digits: ``734 B``, ``1.24 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.{1 if count >= 10 else 2}f} {unit}"


def duration(seconds: float) -> str:
    """``41 s``, ``12 min``, ``3 h``."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
