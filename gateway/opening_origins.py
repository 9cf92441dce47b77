"""Settings of an origin -> what calls it: addresses and certificates, what it is shown, what it can do, and where a spool delivers."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from ssl import SSLContext

from gateway.backends.spool.routing import Route, Router
from gateway.backends.upstream.breaker import Tripping
from gateway.backends.upstream.client import Client, Timeouts
from gateway.backends.upstream.credentials import Basic, BearerFile, ClientCredentials, Credentials, Nobody, PassThrough
from gateway.backends.upstream.google import SCOPE, Google
from gateway.backends.upstream.probing import Report, probe
from gateway.backends.upstream.profiles import PROFILES, Profile, with_overrides
from gateway.backends.upstream.tls import Unusable, context
from gateway.errors import StoreUnavailable
from gateway.sections.stores import Credentials as CredentialSettings
from gateway.sections.stores import Store

_ASKED_HOW = {"url", "profile", "overrides", "credentials", "default_transfer_syntax"}


def asked_how(store: Store) -> str:
    """Stands for what the answers of an origin hang on: what is kept on disk must not outlive another URL or other credentials."""
    return blake2b(store.model_dump_json(include=_ASKED_HOW).encode(), digest_size=16).hexdigest()


def client_of(name: str, store: Store) -> Client:
    """What calls the origin of a store; blocks, for it reads certificates.

    :raises StoreUnavailable: when a certificate or a key cannot be used.
    """
    origin, shown = store.origin, store.credentials
    try:
        tls = context(certificate=shown.certificate, key=shown.certificate_key, authority=shown.authority)
    except Unusable as error:
        raise StoreUnavailable(f"stores.{name}.credentials: {error}") from None
    return Client(
        store.url or "",
        credentials_of(name, shown, tls),
        name=name,
        timeouts=Timeouts(origin.connect_timeout, origin.first_byte_timeout, origin.idle_timeout, origin.total_timeout),
        tries=origin.tries,
        retry_budget=origin.retry_budget,
        in_flight=origin.in_flight,
        breaker=Tripping(origin.breaker_failures, origin.breaker_seconds, origin.first_byte_timeout / 2),
        tls=tls,
    )


async def probed(client: Client) -> Report:
    """What an origin can do; closes the client.

    :raises GatewayError: when it cannot be reached.
    """
    try:
        return await probe(client)
    finally:
        await client.aclose()


def credentials_of(name: str, shown: CredentialSettings, tls: SSLContext | None = None) -> Credentials:
    """What the origin of a store is shown.

    :param tls: for the token endpoint, which a private authority may have signed as well.
    """
    secret = shown.secret_file or Path()
    match shown.kind:
        case "basic":
            return Basic(shown.user or "", secret)
        case "bearer":
            return BearerFile(secret)
        case "client_credentials":
            return ClientCredentials(shown.token_url or "", shown.user or "", secret, asks_for=shown.scope, store=name, tls=tls)
        case "google":
            return Google(shown.secret_file, asks_for=shown.scope or SCOPE, store=name)
        case "pass_through":
            return PassThrough()
    return Nobody()


def routes_of(name: str, store: Store) -> list[Route]:
    """Where a spool delivers.

    :raises StoreUnavailable: for an attribute that there is not, or a value that it cannot have.
    """
    routes = [Route(route.when, route.to) for route in store.routes]
    try:
        Router(routes, {name, *(to for route in routes for to in route.to)}, name)
    except ValueError as error:
        raise StoreUnavailable(f"stores.{name}.routes: {error}") from None
    return routes


def profile_of(name: str, store: Store) -> Profile:
    """What the origin of a store can do.

    :raises StoreUnavailable: for an override that no profile has.
    """
    try:
        return with_overrides(PROFILES[store.profile], store.overrides)
    except ValueError as error:
        raise StoreUnavailable(f"stores.{name}.overrides: {error}") from None
