"""What the index will say of received instances, until it says it: bounded over all requests of a store.

Nothing of a request is stored before it has ended well, so all that is known of its instances waits until then. Most have four
kilobytes. Without a bound the values of a deflated one of five kilobytes, full of one letter, would be four megabytes.
"""

from __future__ import annotations

import threading

from gateway.errors import Busy, TooLarge

INDEXED = 256 << 20
"""Bytes of it that wait at most. A request of 20,000 usual instances has 110 MB."""


class Waiting:
    """One for all requests of a store."""

    def __init__(self) -> None:
        self.held = 0
        self.lock = threading.Lock()

    def request(self) -> Held:
        """The account of another request."""
        return Held(self)


class Held:
    """What one request holds. `take` is called from worker threads."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._held = 0
        self._released = False

    def take(self, count: int) -> None:
        """Counts the bytes of another instance.

        :raises TooLarge: when the request by itself passes the bound. :raises Busy: when all of them do; nothing is taken then.
        """
        with self._waiting.lock:
            if self._held + count > INDEXED:
                raise TooLarge("the values of a request's instances are more than the index takes at once; send them in several requests")
            if self._waiting.held + count > INDEXED or self._released:
                raise Busy("too many instances wait for their requests to end; try again")
            self._held += count
            self._waiting.held += count

    def release(self) -> None:
        """Gives back all of it; what a thread takes after that is refused. Safe to call twice."""
        with self._waiting.lock:
            self._waiting.held -= self._held
            self._held = 0
            self._released = True
