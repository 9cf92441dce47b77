"""How the gateway shows an origin who asks.

    Nobody              nothing: the origin stands on a network of its own
    Basic  BearerFile   a secret out of a file, read again when the file changes
    ClientCredentials   a token from an OAuth 2 token endpoint (RFC 6749 4.4)
    google.Google       a token from what Google calls Application Default Credentials
    PassThrough         what the caller sent

Secrets are in no representation, message or log; errors name the file or the endpoint, and what to do.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_plus

import aiohttp
import orjson

from gateway.backends.caller import caller
from gateway.backends.upstream.tokens import Token, Tokens
from gateway.errors import OriginFailed

LOOK_EVERY = 2.0
"""Seconds between two looks at a secret's file: a rotated secret is in use that soon, and calls cost no system call each."""

_LONGEST_SECRET = 64 << 10
"""Bytes of a secret's file: whoever names a larger one has named the wrong file."""

_TOKEN_TIMEOUT = 15.0
"""Seconds for a token endpoint: it computes little, and calls wait for it."""
_TOKEN_ANSWER = 256 << 10
"""Bytes of its answer that are read."""
_LIFETIME = 300.0
"""Seconds that a token lasts when the endpoint does not say (RFC 6749 5.1 only recommends it)."""

_OAUTH_ERRORS = frozenset("invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope".split())
"""What RFC 6749 5.2 lets an endpoint say; other words of it stay here."""


class Credentials(Protocol):
    """What goes along with each call to an origin."""

    @property
    def own(self) -> bool:
        """Whether they are the gateway's own, so that a refusal is no fault of the caller's."""
        ...

    @property
    def scope(self) -> str:
        """What keys of kept answers must carry: empty for the gateway's own credentials, else a digest of the caller's."""
        ...

    async def headers(self) -> dict[str, str]:
        """The headers of the next call.

        :raises OriginFailed: credentials cannot be had; the message says why and names no secret.
        """
        ...

    async def refused(self) -> bool:
        """Told that the origin answered 401; True when other credentials are at hand now, so that one more try makes sense."""
        ...

    async def aclose(self) -> None:
        """Ends what is under way."""
        ...


class _Own:
    own = True
    scope = ""

    async def refused(self) -> bool:
        """There is nothing else to try."""
        return False

    async def aclose(self) -> None:
        """Nothing is under way."""


class Nobody(_Own):
    """No credentials."""

    async def headers(self) -> dict[str, str]:
        """None."""
        return {}


class SecretFile:
    """A secret in a file, without the white space around it.

    :param path: read when first needed, and whenever its time of change, size or inode differs.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._secret = ""
        self._stamp: tuple[int, int, int] | None = None
        self._look = 0.0

    async def get(self) -> str:
        """The secret.

        :raises OriginFailed: the file cannot be read, or is empty; as long as an older secret is known, that is used.
        """
        if self._stamp is None or self._clock() >= self._look:
            self._look = self._clock() + LOOK_EVERY
            await self._refresh()
        return self._secret

    async def changed(self) -> bool:
        """Looks now; whether the secret differs from before."""
        old = self._secret
        await self._refresh()
        return self._secret != old

    async def _refresh(self) -> None:
        found = await asyncio.to_thread(self._read)
        if found is not None:
            self._stamp, self._secret = found
        elif self._stamp is None:
            name = self._path.name  # callers see this, and folders are none of their business
            raise OriginFailed(f"The secret for the origin cannot be read from the file {name}. It is a readable file that is not empty.")

    def _read(self) -> tuple[tuple[int, int, int], str] | None:
        """The secret if it changed; None for a file that did not, or that is not to be used (it is being replaced)."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp or status.st_size > _LONGEST_SECRET:
                return None
            secret = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return (stamp, secret) if secret and secret.isprintable() else None


class Basic(_Own):
    """User and password (RFC 7617)."""

    def __init__(self, user: str, password: Path) -> None:
        self._user = user
        self._password = SecretFile(password)

    async def headers(self) -> dict[str, str]:
        """Authorization."""
        pair = f"{self._user}:{await self._password.get()}"
        return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}

    async def refused(self) -> bool:
        """Whether the file holds another password by now."""
        return await self._password.changed()


class BearerFile(_Own):
    """A token that somebody else renews in a file (a Kubernetes projected volume, a Vault agent)."""

    def __init__(self, path: Path) -> None:
        self._token = SecretFile(path)

    async def headers(self) -> dict[str, str]:
        """Authorization."""
        return {"Authorization": "Bearer " + await self._token.get()}

    async def refused(self) -> bool:
        """Whether the file holds another token by now."""
        return await self._token.changed()


class Bearer:
    """The gateway's own token, kept fresh."""

    own = True
    scope = ""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def headers(self) -> dict[str, str]:
        """Authorization."""
        return {"Authorization": "Bearer " + await self._tokens.get()}

    async def refused(self) -> bool:
        """Fetches another token."""
        return await self._tokens.refused()

    async def aclose(self) -> None:
        """Ends a fetch that is under way."""
        await self._tokens.aclose()


class ClientCredentials(Bearer):
    """A token for a client id and its secret (RFC 6749 4.4).

    :param url: of the token endpoint.
    :param secret: file with the client's secret.
    :param asks_for: the scope to ask for; None for what the endpoint gives by itself.
    :param store: its name, for messages.
    """

    def __init__(
        self, url: str, client: str, secret: Path, *, asks_for: str | None = None, store: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(Tokens(self._fetch, store))
        self._url = url
        self._client = client
        self._secret = SecretFile(secret)
        self._form = {"grant_type": "client_credentials"} | ({"scope": asks_for} if asks_for else {})
        self._store = store
        self._tls = tls

    async def _fetch(self) -> Token:
        pair = f"{quote_plus(self._client)}:{quote_plus(await self._secret.get())}"  # RFC 6749 2.3.1 encodes both
        headers = {"Authorization": "Basic " + b64encode(pair.encode()).decode(), "Accept": "application/json"}
        try:
            status, body = await self._post(headers)
        except (aiohttp.ClientError, OSError):
            status, body = 0, b""
        if status == 0:
            raise self._failure("cannot be reached. Check token_url, and whether it is up")
        answer = _object(body)
        if status != 200:
            raise self._failure(f"answered {status}{_said(answer)}. Check the client id, its secret, and its scope")
        token, seconds = answer.get("access_token"), answer.get("expires_in", _LIFETIME)
        if not isinstance(token, str) or not token.isprintable() or not token:
            raise self._failure("gave no access_token. Check token_url")
        return Token(token, _seconds(seconds))

    async def _post(self, headers: dict[str, str]) -> tuple[int, bytes]:
        """A session of its own: the next token is an hour away."""
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
        timeout = aiohttp.ClientTimeout(total=_TOKEN_TIMEOUT)
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
            session.post(self._url, data=self._form, headers=headers, allow_redirects=False) as answer,
        ):
            body = b""
            while len(body) < _TOKEN_ANSWER and (piece := await answer.content.readany()):
                body += piece
            return answer.status, body

    def _failure(self, what: str) -> OriginFailed:
        return OriginFailed(f"No access token for the origin of store {self._store!r}: the token endpoint {what}.")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    return f" ({error})" if isinstance(error, str) and error in _OAUTH_ERRORS else ""


def _seconds(value: object) -> float:
    """A life in seconds; some endpoints spell the number as a text."""
    try:
        return max(1.0, float(value)) if isinstance(value, int | float | str) else _LIFETIME
    except ValueError:
        return _LIFETIME


class PassThrough:
    """The caller's own Authorization: the origin decides what each caller may see."""

    own = False

    @property
    def scope(self) -> str:
        """A digest of what the caller sent, equal only for equal credentials."""
        return caller().scope

    async def headers(self) -> dict[str, str]:
        """Authorization, if the caller sent one."""
        sent = caller().authorization
        return {} if sent is None else {"Authorization": sent}

    async def refused(self) -> bool:
        """The caller has to send something else."""
        return False

    async def aclose(self) -> None:
        """Nothing is under way."""
