"""What is counted and logged of every answer."""

from __future__ import annotations

import time

from aiohttp import hdrs

from gateway import logs, metrics
from gateway.web.context import Context


def record(method: str, context: Context, status: int, route: str) -> None:
    """Counts an answer that is ready or sent, and writes its line.

    :param route: the pattern of its URL, which names no patient.
    """
    now = time.perf_counter()
    seconds = now - context.started
    transaction = context.transaction
    series = metrics.of_transaction(transaction)
    metrics.answered(transaction, status).inc()
    series.seconds.observe(seconds)
    series.first_byte.observe((context.first or now) - context.started)
    series.sent.inc(context.sent)
    if context.instances:
        series.instances.inc(context.instances)
    if transaction != "health":
        logs.line(
            "request",
            method=method if method in hdrs.METH_ALL else "other",
            route=route,
            status=status,
            received=context.received,
            sent=context.sent,
            instances=context.instances,
            seconds=round(seconds, 6),
            request_id=context.request_id,
        )
