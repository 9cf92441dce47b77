"""Errors on purpose, for people who test whether their client of the Cloud Healthcare API tries again (``[emulator]``).

Only below ``/v1`` and ``/v1beta1``: who works with the gateway itself is never told anything that is not so. A request that meets
a mishap has changed nothing, for it is answered before anybody looks at its body.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from gateway import metrics
from gateway.web.dialect import GOOGLE, dialect_of


class Mishaps:
    """:param rate: the share of requests that meet one, 0 to 1. :param statuses: those of the answers, each as likely as the others.
    :param retry_after: seconds that the answer asks to wait for; 0 says nothing of it.
    :param chance: a number from 0 to below 1, each time anew.
    """

    def __init__(self, rate: float, statuses: Sequence[int], retry_after: int = 0, chance: Callable[[], float] = random.random) -> None:
        self._rate = rate
        self._statuses = tuple(statuses)
        self._retry_after = retry_after
        self._chance = chance

    def answer(self, request: web.Request) -> web.Response | None:
        """The error that a request meets; None where it is to be answered."""
        if dialect_of(request) is not GOOGLE or (drawn := self._chance()) >= self._rate:
            return None
        status = self._statuses[int(drawn / self._rate * len(self._statuses))]  # what is below the rate is spread evenly, too
        metrics.EMULATED_ERRORS.labels(str(status)).inc()
        phrase = HTTPStatus(status).phrase.lower()
        response = GOOGLE.problem(status, f"{phrase}: an error on purpose, as the settings of this gateway want it (emulator.error_rate)")
        if self._retry_after:
            response.headers["Retry-After"] = str(self._retry_after)
        if not request.content.at_eof():
            response.force_close()
        return response
