"""Tokens for Google Cloud: Application Default Credentials, as google-auth finds them.

google-auth (the extra ``dicomweb-gateway[google]``) knows service account keys, the metadata server, workload identity and
impersonation. It blocks, so it runs in a thread; it is imported when the first token is needed, because it costs memory.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.backends.upstream.credentials import Bearer
from gateway.backends.upstream.tokens import Token, Tokens
from gateway.errors import OriginFailed

SCOPE = "https://www.googleapis.com/auth/cloud-healthcare"
"""Enough for DICOM stores, and for nothing else of the project."""

_TIMEOUT = 30.0
"""Seconds for a token: google-auth tries again by itself, and calls wait for it."""
_LIFETIME = 300.0
"""Seconds that a token lasts when nothing is said."""


class Google(Bearer):
    """The gateway's identity at Google.

    :param key: file with a service account's key, or with the description of a workload identity; None for what the machine
        offers (GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, the metadata server).
    :param store: its name, for messages.
    """

    def __init__(self, key: Path | None = None, *, asks_for: str = SCOPE, store: str = "") -> None:
        super().__init__(Tokens(self._fetch, store))
        self._key = key
        self._asks_for = asks_for
        self._store = store
        self._found: Any = None

    async def _fetch(self) -> Token:
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await asyncio.to_thread(self._refresh)
        except ImportError:
            why = "the package google-auth is missing. Install dicomweb-gateway[google]"
        except TimeoutError:
            why = f"Google did not answer within {_TIMEOUT:.0f} s. Check the network"
        except Exception as error:  # google-auth's own tree, and whatever a broken key file raises in it
            why = _why(error, self._key)
        raise OriginFailed(f"No access token for the origin of store {self._store!r}: {why}.")

    def _refresh(self) -> Token:
        """In a thread, one at a time (`Tokens`)."""
        from google.auth.transport.requests import Request

        if self._found is None:
            self._found = _found(self._key, [self._asks_for])
        self._found.refresh(Request())
        return Token(self._found.token, _left(self._found.expiry))


def _found(key: Path | None, scopes: list[str]) -> Any:
    """Credentials of google-auth."""
    import google.auth
    from google.auth import identity_pool
    from google.oauth2 import service_account

    if key is None:
        return google.auth.default(scopes=scopes)[0]
    described = json.loads(key.read_bytes())
    if described["type"] == "external_account":
        return identity_pool.Credentials.from_info(described, scopes=scopes)  # type: ignore[no-untyped-call]  # annotated elsewhere
    return service_account.Credentials.from_service_account_info(described, scopes=scopes)  # type: ignore[no-untyped-call]  # as above


def _left(expiry: datetime | None) -> float:
    """Seconds until a moment that google-auth gives in UTC without saying so."""
    if expiry is None:
        return _LIFETIME
    return max(1.0, (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds())


def _why(error: Exception, key: Path | None) -> str:
    """What to do; google-auth's own words may hold what an endpoint said."""
    kind = type(error).__name__
    if kind == "RefreshError":
        return "Google refuses these credentials (RefreshError). Check that the account exists, its key, and the machine's clock"
    if kind == "TransportError":
        return "Google's token endpoint or the metadata server cannot be reached (TransportError)"
    if key is not None:
        return f"{key} is neither a service account's key nor the description of a workload identity ({kind})"
    return f"this machine has no Google credentials ({kind}). Set secret_file or GOOGLE_APPLICATION_CREDENTIALS"
