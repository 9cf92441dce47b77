"""The series of one origin, found once: a lookup by labels costs more than the count."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

from gateway import metrics
from gateway.backends.upstream.breaker import State
from gateway.metrics import Transaction


class Meter:
    """Counts what happens at one origin.

    :param origin: the store's name.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.calls = cache(self._calls)
        self.first_byte = cache(self._first_byte)
        self.sent = cache(self._sent)
        self.received = cache(self._received)
        self.retries = metrics.ORIGIN_RETRIES.labels(origin)
        self.in_flight = metrics.ORIGIN_IN_FLIGHT.labels(origin)
        self._breaker = metrics.ORIGIN_BREAKER.labels(origin)
        self._breaker.set(State.CLOSED)

    def _calls(self, transaction: Transaction, status: int | str) -> Counter:
        known = isinstance(status, str) or 100 <= status < 600  # an origin may answer 999, and each number would be a series
        return metrics.ORIGIN_CALLS.labels(self._origin, transaction, status if known else "other")

    def _first_byte(self, transaction: Transaction) -> Histogram:
        return metrics.ORIGIN_FIRST_BYTE_SECONDS.labels(self._origin, transaction)

    def _sent(self, transaction: Transaction) -> Counter:
        return metrics.ORIGIN_SENT_BYTES.labels(self._origin, transaction)

    def _received(self, transaction: Transaction) -> Counter:
        return metrics.ORIGIN_RECEIVED_BYTES.labels(self._origin, transaction)

    def breaker(self, state: State) -> None:
        """The breaker changed."""
        self._breaker.set(state)
