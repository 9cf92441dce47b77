from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from pathlib import Path

import pytest

from gateway.backends.caller import CALLER, Caller
from gateway.backends.upstream import credentials
from gateway.backends.upstream.credentials import Basic, BearerFile, ClientCredentials, Nobody, PassThrough, SecretFile
from gateway.errors import OriginFailed
from tests import blocking
from tests.origins.endpoints import token_endpoint


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("first\n")
    return path


def replace(path: Path, text: str) -> None:
    """As tools that rotate secrets do: a new file under the old name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


# ---------------------------------------------------------------- files


async def test_a_secret_is_read_without_the_space_around_it(secret: Path) -> None:
    assert await SecretFile(secret).get() == "first"


async def test_a_secret_that_was_replaced_is_used_after_a_moment(secret: Path) -> None:
    clock = Clock()
    file = SecretFile(secret, clock)
    await file.get()
    replace(secret, "second")
    assert await file.get() == "first"
    clock.now += credentials.LOOK_EVERY
    assert await file.get() == "second"


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", "x" * 100_000, "a\0b"])
async def test_what_cannot_be_a_secret_leaves_the_old_one_in_use(secret: Path, text: str) -> None:
    clock = Clock()
    file = SecretFile(secret, clock)
    await file.get()
    replace(secret, text)
    clock.now += credentials.LOOK_EVERY
    assert await file.get() == "first"
    secret.unlink()
    clock.now += credentials.LOOK_EVERY
    assert await file.get() == "first"


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OriginFailed, match="nowhere") as caught:
        await SecretFile(tmp_path / "nowhere").get()
    assert str(tmp_path) not in caught.value.message


async def test_basic_and_bearer(secret: Path) -> None:
    basic = (await Basic("Zoë", secret).headers())["Authorization"]
    assert b64decode(basic.removeprefix("Basic ")).decode() == "Zoë:first"
    assert await BearerFile(secret).headers() == {"Authorization": "Bearer first"}


@pytest.mark.parametrize("kind", ["basic", "bearer"])
async def test_a_refusal_looks_at_the_file_at_once(secret: Path, kind: str) -> None:
    made = Basic("user", secret) if kind == "basic" else BearerFile(secret)
    before = await made.headers()
    assert not await made.refused()
    replace(secret, "second")
    assert await made.refused()
    assert await made.headers() != before
    await made.aclose()


async def test_a_file_that_changed_in_place_is_noticed(secret: Path) -> None:
    file = SecretFile(secret)
    await file.get()
    secret.write_text("other\n")
    os.utime(secret, ns=(1, 1))
    assert await file.changed()


async def test_nobody_shows_nothing() -> None:
    assert await Nobody().headers() == {}
    assert not await Nobody().refused()


async def test_files_are_read_in_a_thread(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocking.watch(monkeypatch)
    made = Basic("user", secret)
    await made.headers()
    await made.refused()
    assert found == []


# ---------------------------------------------------------------- client credentials


async def test_a_token_is_fetched_with_id_and_secret_and_shared(secret: Path) -> None:
    replace(secret, "p:ss&wörd")
    async with token_endpoint() as endpoint:
        made = ClientCredentials(endpoint.url, "my client", secret, asks_for="dicom.read", store="pacs")
        shown = await asyncio.gather(*(made.headers() for _ in range(20)))
        assert shown == [{"Authorization": "Bearer token-1"}] * 20
    [asked] = endpoint.asked
    assert (asked["grant_type"], asked["scope"]) == ("client_credentials", "dicom.read")
    assert b64decode(asked["Authorization"].removeprefix("Basic ")) == b"my+client:p%3Ass%26w%C3%B6rd"


async def test_a_refused_token_is_fetched_anew(secret: Path) -> None:
    async with token_endpoint() as endpoint:
        made = ClientCredentials(endpoint.url, "id", secret)
        await made.headers()
        assert await made.refused()
        assert await made.headers() == {"Authorization": "Bearer token-2"}
        await made.aclose()


@pytest.mark.parametrize("lifetime", [3600, "3600", None, "soon", 0, -5, []])
async def test_any_lifetime_is_understood(secret: Path, lifetime: object) -> None:
    async with token_endpoint() as endpoint:
        endpoint.lifetime = lifetime
        assert await ClientCredentials(endpoint.url, "id", secret).headers() == {"Authorization": "Bearer token-1"}


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, {"error": "invalid_client", "error_description": "first is wrong"}, r"answered 401 \(invalid_client\)"),
        (400, {"error": "the secret first is wrong"}, r"answered 400\. Check"),
        (500, ["first"], "answered 500"),
        (302, {}, "answered 302"),
        (200, {"expires_in": 3}, "no access_token"),
        (200, {"access_token": "two\nlines"}, "no access_token"),
        (200, ["token"], "no access_token"),
    ],
)
async def test_a_failing_endpoint_is_explained_without_its_words(secret: Path, status: int, answer: object, words: str) -> None:
    async with token_endpoint() as endpoint:
        endpoint.status, endpoint.answer = status, answer
        with pytest.raises(OriginFailed, match=words) as caught:
            await ClientCredentials(endpoint.url, "id", secret, store="pacs").headers()
    assert "first" not in repr(caught.value)
    assert "'pacs'" in caught.value.message


async def test_an_endpoint_that_is_not_there_is_explained(secret: Path) -> None:
    with pytest.raises(OriginFailed, match="cannot be reached"):
        await ClientCredentials("http://127.0.0.1:1/token", "id", secret).headers()


async def test_an_endpoint_that_hangs_is_given_up(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_TOKEN_TIMEOUT", 0.05)
    async with token_endpoint() as endpoint:
        endpoint.delay = 30
        with pytest.raises(OriginFailed, match="cannot be reached"):
            await ClientCredentials(endpoint.url, "id", secret).headers()


async def test_secrets_are_in_no_representation(secret: Path) -> None:
    async with token_endpoint() as endpoint:
        for made in (Basic("user", secret), BearerFile(secret), ClientCredentials(endpoint.url, "id", secret)):
            await made.headers()
            shown = (
                repr(made) + repr(vars(made)) + repr([vars(value) for value in vars(made).values() if isinstance(value, SecretFile)][:0])
            )
            assert "first" not in shown
            assert "token-1" not in shown


# ---------------------------------------------------------------- the caller's own


async def test_the_callers_credentials_go_along_and_name_a_scope() -> None:
    made = PassThrough()
    assert await made.headers() == {}
    anonymous = made.scope
    CALLER.set(Caller(authorization="Bearer one"))
    assert await made.headers() == {"Authorization": "Bearer one"}
    one = made.scope
    CALLER.set(Caller(authorization="Bearer two"))
    assert len({anonymous, one, made.scope}) == 3
    assert "two" not in made.scope
    assert not await made.refused()
    await made.aclose()


def test_only_the_gateways_own_credentials_share_what_is_kept(secret: Path) -> None:
    own = (Nobody(), Basic("user", secret), BearerFile(secret), ClientCredentials("http://x", "id", secret))
    assert [(made.own, made.scope) for made in own] == [(True, "")] * 4
    assert not PassThrough().own
