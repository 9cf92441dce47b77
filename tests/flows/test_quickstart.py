"""Google's quickstart with curl: against an embedded store, and through the gateway against an origin that behaves as Google does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from tests import samples
from tests.flows.fronts import Front, before_google, fronted, table
from tests.flows.recorded import dcmweb_files
from tests.origins.google import PROJECT, Google, Rights, google

SCRIPT = Path(__file__).with_name("quickstart.sh")
CONFIGURED = "projects/local/locations/local/datasets/default/dicomStores/default"
TOKEN = "ya29.canary-of-the-quickstart"
"""No secret: tests look for it where it must not be."""
PASS_THROUGH = {"kind": "pass_through"}
INSTANCE = f"/studies/{samples.STUDY}/series/{samples.SERIES}/instances/{samples.SOP}"


async def run(front: Front, folder: Path, *store: str, **environment: str) -> None:
    """The script, which has to end well."""
    file, picture = folder / "instance.dcm", folder / "image.jpg"
    file.write_bytes(samples.ct())
    Image.radial_gradient("L").resize((16, 16)).convert("RGB").save(picture)
    process = await asyncio.create_subprocess_exec(
        SCRIPT,
        front.gateway.root,
        file,
        *store,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"TOKEN": TOKEN, "JPEG": str(picture)} | environment,
    )
    said, _ = await process.communicate()
    assert (process.returncode, said.decode().splitlines()[-1]) == (0, "all as it should be"), said.decode()


async def assert_nowhere(front: Front) -> None:
    """The token is in no log, metric or file of the gateway."""
    assert TOKEN.encode() not in (await front.get("/metrics", root=True)).body
    files = [path for path in front.gateway.folder.rglob("*") if path.is_file()]
    assert front.gateway.log in files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


async def test_the_quickstart_runs_offline(tmp_path: Path) -> None:
    async with fronted(tmp_path / "gate", "") as front:
        await run(front, tmp_path)
        await run(front, tmp_path, VERSION="v1beta1")
        await run(front, tmp_path, CONFIGURED)
        await assert_nowhere(front)


async def test_the_quickstart_runs_in_front_of_google(tmp_path: Path) -> None:
    async with before_google(tmp_path / "gate", tokens={TOKEN: Rights()}, credentials=PASS_THROUGH) as (front, fake):
        await run(front, tmp_path, CONFIGURED)
        assert_only_in_headers(fake)
        await assert_nowhere(front)


@pytest.mark.parametrize("credentials", ["pass_through", "bearer"])
async def test_the_quickstart_passes_through_a_relay(tmp_path: Path, credentials: str) -> None:
    """A project that is bound to the real API: what the script makes and stores is there, and only there."""
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    shown = {"kind": credentials} | ({"secret_file": secret} if credentials == "bearer" else {})
    async with google({TOKEN: Rights()}) as fake:
        settings = table("healthcare.relays.cloud", project="p", url=fake.rest.root, credentials=shown)
        async with fronted(tmp_path / "gate", settings) as front:
            own = {} if credentials == "pass_through" else {"TOKEN": "nobody"}
            await run(front, tmp_path, **own)
            await run(front, tmp_path, VERSION="v1beta1", **own)
            await run(front, tmp_path, f"{PROJECT}/dicomStores/s", **own)
            assert fake.calls and not fake.rest.names
            assert_only_in_headers(fake)
            await assert_nowhere(front)


async def test_a_token_in_the_url_reaches_google_in_a_header(tmp_path: Path) -> None:
    """As the samples in Java show who they are; and what one caller's token got is not given to the next one."""
    rights = {TOKEN: Rights(), "other": Rights(studies=())}
    async with before_google(tmp_path / "gate", tokens=rights, credentials=PASS_THROUGH) as (front, fake):
        web = f"/v1/{CONFIGURED}/dicomWeb"
        stored = await front.ask(
            "POST", f"{web}/studies?access_token={TOKEN}", body=samples.ct(), root=True, Content_Type="application/dicom"
        )
        assert stored.status == 200
        asked = [f"{web}{path}" for path in ("/studies", f"{INSTANCE}/metadata", f"{INSTANCE}/frames/1") for _ in range(3)]
        for path in asked:
            assert (await front.get(f"{path}?access_token={TOKEN}", root=True)).status == 200
            assert (await front.get(f"{path}?access_token=other", root=True)).status in (204, 404)
            assert (await front.get(f"{path}?access_token=nobody", root=True)).status == 401
            assert (await front.get(path, root=True)).status == 401
        assert_only_in_headers(fake)
        await assert_nowhere(front)


async def test_dcmweb_reads_frames_of_google_too(tmp_path: Path) -> None:
    """Kept or not, in the chunks that it understands."""
    async with before_google(tmp_path / "gate") as (front, _):
        assert (await front.store(samples.encapsulated(3))).status == 200
        for cache in ("miss", "hit", "hit"):
            accept = 'multipart/related; type="image/jpeg"; transfer-syntax=*'
            url = f"{front.gateway.root}/v1/{CONFIGURED}/dicomWeb{INSTANCE}/frames/2"
            async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as response:
                assert (response.status, response.headers["X-Cache"].partition(";")[0]) == (200, cache)
                chunks = [chunk async for chunk, _ in response.content.iter_chunks()]
            files = dcmweb_files(response.headers["Content-Type"], iter(chunks))
            assert [file.strip(b"\r\n\0") for file in files] == [samples.codestreams(3)[1].strip(b"\0")]


def assert_only_in_headers(fake: Google) -> None:
    """What the origin was asked carries the token where tokens belong."""
    assert [call for call in fake.calls if TOKEN in call.path or TOKEN in str(call.params)] == []
    assert {call.headers.get("Authorization") for call in fake.calls} >= {f"Bearer {TOKEN}"}
    assert [call for call in fake.calls if any("access_token" in name for name, _ in call.params)] == []
