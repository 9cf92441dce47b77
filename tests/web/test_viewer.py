"""The viewer over real sockets: its page, its files, and that there is no way out of its folder."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.listening import check
from gateway.sections.server import Server
from gateway.web import viewer as viewing
from gateway.web.viewer import FOR_EVER, Source, Viewer, policy, settings_of
from tests.web.conftest import Serve
from tests.web.gate import Answer, Gate, request
from tests.web.viewers import HASHED, PAGE, SCRIPT, SMALL, viewer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return viewer(tmp_path)


@pytest.fixture
async def gate(serve: Serve, folder: Path) -> Gate:
    return await serve(backend="memory", server={"viewer": folder})


async def look(gate: Gate, path: str, **headers: str) -> Answer:
    return await gate.ask("GET", path, headers, base="")


# -- the page


@pytest.mark.parametrize("path", ["/viewer", "/viewer/", "/viewer/index.html", "/viewer/viewer", "/viewer/viewer/default", "/viewer/a/b"])
async def test_every_address_of_the_viewer_is_its_page(gate: Gate, path: str) -> None:
    answer = await look(gate, path + "?StudyInstanceUIDs=1.2")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert 'src="/viewer/app.bundle.0123456789abcdef.js"' in text
    assert 'href="/viewer/assets/icon.png"' in text
    assert 'window.PUBLIC_URL="/viewer/"' in text
    assert "service-worker" not in text
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_the_page_may_load_nothing_from_elsewhere(gate: Gate) -> None:
    answer = await look(gate, "/viewer/")
    rules = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert not re.search(r"https?:|\*", " ".join(rules.values()))
    inline = re.findall("<script>(.*?)</script>", answer.body.decode(), re.DOTALL)
    assert inline
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules["script-src"]
    assert "'unsafe-inline'" not in rules["script-src"]
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Cross-Origin-Embedder-Policy" not in answer.headers  # an embedded PDF would not be shown


async def test_a_proxy_that_takes_a_prefix_away(serve: Serve, folder: Path) -> None:
    gate = await serve(backend="memory", server={"viewer": folder, "public_url": "https://x.example/imaging"})
    text = (await look(gate, "/viewer/")).body.decode()
    assert 'window.PUBLIC_URL="/imaging/viewer/"' in text
    assert 'src="/imaging/viewer/app-config.js"' in text


async def test_a_viewer_that_was_built_for_a_place_of_its_own(serve: Serve, folder: Path) -> None:
    (folder / "index.html").write_text(PAGE.replace('="/', '="/ohif/').replace('="/ohif//', '="//'))
    gate = await serve(backend="memory", server={"viewer": folder})
    assert 'src="/viewer/app.bundle' in (await look(gate, "/viewer/")).body.decode()


async def test_a_page_that_the_browser_has(gate: Gate) -> None:
    tag = (await look(gate, "/viewer/")).headers["ETag"]
    answer = await look(gate, "/viewer/", **{"If-None-Match": tag})
    assert (answer.status, answer.body) == (304, b"")


# -- what it is told


async def test_the_viewer_is_told_of_all_stores_the_default_one_first(serve: Serve, folder: Path) -> None:
    stores = {"archive": {"backend": "memory"}, "zoo": {"backend": "memory"}}
    gate = await serve(backend="memory", server={"viewer": folder}, stores=stores)
    answer = await look(gate, "/viewer/app-config.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    found = re.search(r"dataSources: (\[.*?\])\.map", answer.body.decode())
    assert found is not None
    assert json.loads(found[1]) == [
        {"name": "default", "path": "dicom-web", "uri": "wado"},
        {"name": "archive", "path": "stores/archive/dicom-web", "uri": "stores/archive/wado"},
        {"name": "zoo", "path": "stores/zoo/dicom-web", "uri": "stores/zoo/wado"},
    ]


async def test_a_script_of_the_package_does_not_count_as_what_it_is_told(serve: Serve, folder: Path) -> None:
    (folder / "app-config.js").write_text("window.config = {dataSources: ['https://elsewhere.example']}")
    gate = await serve(backend="memory", server={"viewer": folder})
    assert b"elsewhere" not in (await look(gate, "/viewer/app-config.js")).body


def test_what_could_load_from_anywhere_is_no_source() -> None:
    text = settings_of([Source("a", "dicom-web", "wado")], bearer=False).decode()
    code = re.sub(r"//.*", "", text)
    assert set(re.findall(r"dataSourcesModule\.(\w+)", code)) == {"dicomweb"}
    assert not re.search(r"https?:|dangerously|dicomlocal|oidc", code)


@pytest.mark.parametrize("bearer", [True, False])
def test_a_token_is_asked_for_only_where_the_gateway_wants_one(bearer: bool) -> None:
    text = settings_of([], bearer=bearer).decode()
    assert f"if ({str(bearer).lower()} && !known()" in text
    assert "/*" not in text


async def test_without_credentials_there_is_the_viewer_and_no_data(serve: Serve, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("sesame")
    gate = await serve(backend="memory", server={"viewer": folder, "token_file": tmp_path / "tokens"})
    for path in ("/viewer/", f"/viewer/{HASHED}", "/viewer/app-config.js"):
        assert (await look(gate, path)).status == 200
    assert b"if (true &&" in (await look(gate, "/viewer/app-config.js")).body
    assert (await look(gate, "/dicom-web/studies")).status == 401


# -- files


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.css", "text/css; charset=utf-8"),
        ("codec.wasm", "application/wasm"),
        ("assets/icon.png", "image/png"),
        ("lang/text.json", "application/json"),
    ],
)
async def test_files_have_the_types_that_browsers_insist_on(gate: Gate, name: str, kind: str) -> None:
    answer = await look(gate, f"/viewer/{name}")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, SMALL[name], kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_what_has_a_hash_in_its_name_is_kept_for_ever_and_nothing_else(gate: Gate) -> None:
    assert (await look(gate, f"/viewer/{HASHED}")).headers["Cache-Control"] == FOR_EVER
    assert (await look(gate, "/viewer/app.css")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("coding", "given"), [("zstd", "zstd"), ("gzip, br", "gzip"), ("br, zstd, gzip", "zstd"), ("br", None), ("identity", None)]
)
async def test_a_file_goes_out_as_it_lies_there_compressed(gate: Gate, coding: str, given: str | None) -> None:
    answer = await look(gate, f"/viewer/{HASHED}", **{"Accept-Encoding": coding})
    assert answer.headers.get("Content-Encoding") == given
    assert {"zstd": zstd.decompress, "gzip": gzip.decompress}.get(given or "", bytes)(answer.body) == SCRIPT
    assert (answer.headers["Vary"], answer.headers["Content-Type"]) == ("Accept-Encoding", "text/javascript; charset=utf-8")
    assert (given or "") in answer.headers["ETag"]


async def test_what_is_not_there_compressed_goes_out_plain(gate: Gate) -> None:
    answer = await look(gate, "/viewer/app.css", **{"Accept-Encoding": "gzip, zstd"})
    assert (answer.body, "Content-Encoding" in answer.headers) == (b"body{}", False)


async def test_a_file_that_the_browser_has(gate: Gate, folder: Path) -> None:
    tag = (await look(gate, "/viewer/app.css")).headers["ETag"]
    answer = await look(gate, "/viewer/app.css", **{"If-None-Match": tag})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    (folder / "app.css").write_bytes(b"body{color:red}")
    answer = await look(gate, "/viewer/app.css", **{"If-None-Match": tag})
    assert (answer.status, answer.body) == (200, b"body{color:red}")


async def test_the_headers_of_a_file_alone(gate: Gate) -> None:
    answer = await gate.ask("HEAD", f"/viewer/{HASHED}", base="")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(SCRIPT)))


async def test_a_file_that_went_while_the_gateway_ran(gate: Gate, folder: Path) -> None:
    (folder / "app.css").unlink()
    answer = await look(gate, "/viewer/app.css")
    assert (answer.status, "restart" in answer.detail) == (404, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_put_there(gate: Gate, method: str) -> None:
    assert (await gate.ask(method, "/viewer/app.css", body=b"x", base="")).status == 405


# -- no way out


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "assets/../../secret.txt",
        "assets/..%2f..%2fsecret.txt",
        "..%5csecret.txt",
        "....//secret.txt",
        "%252e%252e/secret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd.txt",
        "file:///etc/hosts.txt",
        "link.txt",
        "app.css%00.png",
        "app.css/",
        "assets",
        "assets/",
        "APP.CSS",
    ],
)
async def test_no_name_leads_out_of_the_folder(gate: Gate, path: str) -> None:
    answer = await gate.raw(request("GET", f"/viewer/{path}"))
    assert answer.status in (200, 400, 404)
    assert b"of the host" not in answer.body
    assert b"root:" not in answer.body
    if answer.status == 200:
        assert answer.headers["Content-Type"].startswith("text/html")  # an address that the viewer may have made up
        assert b"PUBLIC_URL" in answer.body or path == "../secret.txt"


def test_links_are_no_files_of_the_viewer(folder: Path) -> None:
    found = Viewer(folder, []).files
    assert "link.txt" not in found
    assert set(SMALL) < set(found)


# -- without one


@pytest.mark.parametrize("path", ["/viewer", "/viewer/", "/viewer/index.html", "/viewer/app-config.js"])
async def test_a_gateway_without_a_viewer_says_how_to_get_one(plain: Gate, path: str) -> None:
    answer = await look(plain, path)
    assert answer.status == 404
    assert "make viewer" in answer.detail


def test_a_folder_without_a_viewer_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"server\.viewer: .*make viewer"):
        check(Server(viewer=tmp_path))
    with pytest.raises(Exception, match="make viewer"):
        check(Server(viewer=tmp_path / "nowhere"))
    with pytest.raises(StoreUnavailable, match=r"server\.viewer"):
        Viewer(tmp_path, [])


def test_a_folder_with_one_is_taken(folder: Path) -> None:
    check(Server(viewer=folder))


def test_a_policy_without_scripts_in_the_page() -> None:
    assert "script-src 'self' 'unsafe-eval';" in policy([])


def test_every_type_is_one_that_is_described() -> None:
    assert {*viewing.TYPES.values(), viewing.OCTETS} == {*viewing.MEDIA, viewing.HTML}
