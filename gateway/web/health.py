"""What machines that look after the gateway ask: /healthz, /readyz, /metrics, /version."""

from __future__ import annotations

import asyncio
import os

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.web.context import context_of
from gateway.web.middleware import IN_FLIGHT
from gateway.web.service import SERVICE, VERSION, Service


async def alive(_: web.Request, service: Service) -> web.StreamResponse:
    """``GET /healthz``: the process answers. Never looks at a store: a full disk is no reason to be restarted."""
    return web.Response(text="ok\n")


async def ready(request: web.Request, service: Service) -> web.StreamResponse:
    """``GET /readyz``: requests can be served. 503 while draining, or when a store cannot be used. Strangers are not told which."""
    stores = {}
    for name, backend in service.catalog:
        health = await backend.check()
        stores[name] = {"ready": health.ready, "writable": health.writable, "detail": health.detail}
    draining = request.app[IN_FLIGHT].draining
    good = not draining and all(store["ready"] for store in stores.values())
    facts = {"ready": good, "draining": draining}
    body = orjson.dumps(facts if context_of(request).stranger else facts | {"stores": stores})
    return web.Response(body=body, status=200 if good else 503, headers={"Content-Type": "application/json"})


async def metrics_page(_: web.Request, service: Service) -> web.StreamResponse:
    """``GET /metrics``: the series of all workers, added up."""
    body = await asyncio.to_thread(_collect)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _collect() -> bytes:
    return generate_latest(registry())


def registry() -> CollectorRegistry:
    """The series of all workers together; reads their files when it is asked for them."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    gathered = CollectorRegistry()
    MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]  # the library annotates all but this constructor
    return gathered


async def version_page(_: web.Request, service: Service) -> web.StreamResponse:
    """``GET /version``."""
    body = orjson.dumps({"name": SERVICE, "version": VERSION})
    return web.Response(body=body, headers={"Content-Type": "application/json"})
