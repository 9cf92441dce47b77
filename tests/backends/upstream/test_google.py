"""Real google-auth against a token endpoint and a metadata server on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.backends.upstream import google
from gateway.backends.upstream.google import SCOPE, Google
from gateway.errors import OriginFailed
from tests.origins.endpoints import token_endpoint

PEM = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


def account(folder: Path, token_url: str) -> Path:
    """A service account's key, as Google's console gives it."""
    path = folder / "key.json"
    described = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": PEM,
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_url,
    }
    path.write_text(json.dumps(described))
    return path


async def test_a_service_account_signs_for_its_token(tmp_path: Path) -> None:
    async with token_endpoint() as endpoint:
        made = Google(account(tmp_path, endpoint.url), store="cloud")
        for shown in await asyncio.gather(made.headers(), made.headers()):
            assert shown == {"Authorization": "Bearer token-1"}
        assert await made.refused()
        assert await made.headers() == {"Authorization": "Bearer token-2"}
        await made.aclose()
        assert endpoint.given == 2
        assert endpoint.asked[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert SCOPE in _claims(endpoint.asked[0]["assertion"])["scope"]


def _claims(token: str) -> dict[str, Any]:
    from base64 import urlsafe_b64decode

    claims: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


async def test_a_workload_identity_exchanges_its_token(tmp_path: Path) -> None:
    subject = tmp_path / "token"
    subject.write_text("of the cluster")
    async with token_endpoint() as endpoint:
        endpoint.answer = {
            "access_token": "exchanged",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        described = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": endpoint.url,
            "credential_source": {"file": str(subject)},
        }
        path = tmp_path / "identity.json"
        path.write_text(json.dumps(described))
        assert await Google(path).headers() == {"Authorization": "Bearer exchanged"}
        assert endpoint.asked[0]["subject_token"] == "of the cluster"


async def test_the_metadata_server_is_asked_where_there_is_one(tmp_path: Path) -> None:
    """In a process of its own, for google-auth reads its environment when it is imported."""
    code = """
import asyncio
from gateway.backends.upstream.google import Google
print(asyncio.run(Google(store="cloud").headers()))
"""
    async with token_endpoint() as endpoint:
        host = urlsplit(endpoint.url).netloc
        environment = os.environ | {
            "GCE_METADATA_HOST": host,
            "GCE_METADATA_IP": host,
            "HOME": str(tmp_path),
            "CLOUDSDK_CONFIG": str(tmp_path),
        }
        environment.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert out.decode().startswith("{'Authorization': 'Bearer token-")
        assert any("/computeMetadata/v1/instance/service-accounts/" in asked["path"] for asked in endpoint.asked)


async def test_a_refused_account_is_explained_without_googles_words(tmp_path: Path) -> None:
    async with token_endpoint() as endpoint:
        endpoint.status, endpoint.answer = 400, {"error": "invalid_grant", "error_description": "account gateway@p not found"}
        with pytest.raises(OriginFailed, match="Google refuses these credentials") as caught:
            await Google(account(tmp_path, endpoint.url), store="cloud").headers()
    assert "gateway@p" not in repr(caught.value)
    assert "'cloud'" in caught.value.message


async def test_an_endpoint_that_cannot_be_reached_is_explained(tmp_path: Path) -> None:
    with pytest.raises(OriginFailed, match="cannot be reached"):
        await Google(account(tmp_path, "http://127.0.0.1:1/token")).headers()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"type": "service_account"}', '{"type": "external_account"}', '{"type": "authorized_user"}']
)
async def test_a_file_that_is_no_key_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(OriginFailed, match=r"key\.json is neither"):
        await Google(path).headers()


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    with pytest.raises(OriginFailed, match=r"dicomweb-gateway\[google\]"):
        await Google().headers()


async def test_google_is_given_up_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google, "_TIMEOUT", 0.05)
    async with token_endpoint() as endpoint:
        endpoint.delay = 0.5
        with pytest.raises(OriginFailed, match="did not answer"):
            await Google(account(tmp_path, endpoint.url)).headers()


def test_a_moment_is_read_as_utc() -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None)
    assert google._left(later) == pytest.approx(3600, abs=60)
    assert google._left(None) == 300
