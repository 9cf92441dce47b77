from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.backends.upstream import tls
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.credentials import Nobody
from gateway.errors import OriginFailed
from tests.backends.upstream.certificates import Authority


async def asked(server: ssl.SSLContext, context: ssl.SSLContext | None) -> int:
    """The status that a client gets from a server with TLS."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    running = TestServer(app, scheme="https")
    await running.start_server(ssl=server)
    made = Client(str(running.make_url("/")), Nobody(), name="pacs", tls=context, tries=1)
    try:
        async with await made.ask("GET", "/studies", transaction="search") as answer:
            return answer.status
    finally:
        await made.aclose()
        await running.close()


async def test_a_private_authority_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert await asked(authority.server(), tls.context(authority=authority.path)) == 200


async def test_without_it_the_certificate_is_not_trusted_and_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(OriginFailed, match=r"not trusted: .*issuer"):
        await asked(Authority(tmp_path).server(), None)


async def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    with pytest.raises(OriginFailed, match="not trusted"):
        await asked(Authority(tmp_path).server(), tls.context(authority=other.path))


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("gateway")
    assert await asked(authority.server(clients=True), tls.context(certificate, key, authority.path)) == 200


async def test_a_server_that_wants_a_client_certificate_refuses_without_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with pytest.raises(OriginFailed):
        await asked(authority.server(clients=True), tls.context(authority=authority.path))


async def test_a_port_without_tls_is_named_as_such(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    running = TestServer(app)
    await running.start_server()
    made = Client(f"https://127.0.0.1:{running.port}", Nobody(), name="pacs", tries=1)
    with pytest.raises(OriginFailed, match="speaks TLS"):
        await made.ask("GET", "/studies", transaction="search")
    await made.aclose()
    await running.close()


def test_nothing_to_say_is_the_systems_default() -> None:
    assert tls.context() is None


def test_old_versions_are_not_spoken(tmp_path: Path) -> None:
    context = tls.context(authority=Authority(tmp_path).path)
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("gateway")
    other = authority.sign("other")[1]
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    encrypted = authority.sign("locked", password=b"secret")
    for arguments, words in [
        ((None, None, tmp_path / "nowhere"), "nowhere does not exist"),
        ((None, None, junk), "junk.pem holds no certificates"),
        ((tmp_path / "nowhere", key, None), "nowhere does not exist"),
        ((certificate, tmp_path / "nowhere", None), "nowhere does not exist"),
        ((certificate, other, None), "other.key is not the key"),
        ((certificate, junk, None), "hold no certificate with its key"),
        ((*encrypted, None), "encrypted key cannot be used"),
    ]:
        with pytest.raises(tls.Unusable, match=words):
            tls.context(*arguments)
