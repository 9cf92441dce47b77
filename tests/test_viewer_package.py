"""The script that gets the viewer, on packages of a few lines."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "viewer"
RUNTIME = 'a();__webpack_require__.p = "/";' + "b();" * 2000
FILES = {
    "index.html": '<html><script type="module" src="/init-service-worker.js"></script></html>',
    **{f"{number}.bundle.0123456789abcdef.js": RUNTIME for number in range(9)},
    "app.css": "@font-face{src:url(/0123456789abcdef.woff2)}",
    "app.js": "window.browserImportFunction('/dicom-microscopy-viewer/x.js')",
    "sw.js": "importScripts('https://elsewhere.example/')",
    "google.js": "x",
    "app-config.js": "x",
    "app.js.map": "{}",
    "ort/large.wasm": "x",
}


def packed(folder: Path, files: dict[str, str] = FILES, inside: str = "package/dist/") -> Path:
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(inside + name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


class Script:
    """A copy of the script that takes a package of our own for the right one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "script"
        shutil.copy(SCRIPT, self.path)

    def trust(self, package: Path) -> None:
        text = self.path.read_text()
        start = text.index('SHA512 = "') + 10
        digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        self.path.write_text(text[:start] + digest + text[text.index('"', start) :])

    def run(self, *words: str, path: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self.path), str(self.folder / "out"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": path})

    @property
    def out(self) -> Path:
        return self.folder / "out"


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_a_package_is_unpacked_and_finds_itself_wherever_it_is_served(script: Script) -> None:
    package = packed(script.folder)
    script.trust(package)
    done = script.run("--tarball", str(package))
    assert done.returncode == 0, done.stderr
    names = {path.relative_to(script.out).as_posix() for path in script.out.rglob("*") if path.is_file()}
    assert names == {"index.html", "app.css", "app.js", ".package"} | {
        f"{number}.bundle.0123456789abcdef.js{end}" for number in range(9) for end in ("", ".gz", ".zst")
    }
    script_text = (script.out / "0.bundle.0123456789abcdef.js").read_text()
    assert 'p = "/"' not in script_text and "document.currentScript" in script_text
    assert gzip.decompress((script.out / "0.bundle.0123456789abcdef.js.gz").read_bytes()).decode() == script_text
    assert (script.out / "index.html").read_text() == "<html></html>"
    assert "url(0123456789abcdef.woff2)" in (script.out / "app.css").read_text()
    assert "(window.PUBLIC_URL + 'dicom-microscopy-viewer/x.js')" in (script.out / "app.js").read_text()


def test_another_package_changes_nothing(script: Script) -> None:
    script.out.mkdir()
    (script.out / "mine").touch()
    done = script.run("--tarball", str(packed(script.folder)))
    assert done.returncode == 1 and "is not @ohif/app" in done.stderr
    assert [path.name for path in script.out.iterdir()] == ["mine"]


def test_a_second_time_nothing_is_done(script: Script) -> None:
    package = packed(script.folder)
    script.trust(package)
    script.run("--tarball", str(package))
    package.unlink()
    done = script.run()
    assert done.returncode == 0 and "already" in done.stdout


def test_a_package_takes_the_place_of_the_one_before(script: Script) -> None:
    script.out.mkdir()
    (script.out / "of-before.js").touch()
    package = packed(script.folder)
    script.trust(package)
    assert script.run("--tarball", str(package)).returncode == 0
    assert not (script.out / "of-before.js").exists()
    assert not [path for path in script.folder.iterdir() if path.name.startswith(".viewer-")]


def test_no_file_of_a_package_lies_outside(script: Script) -> None:
    package = packed(script.folder, {**FILES, "../../escaped.js": "x"})
    script.trust(package)
    done = script.run("--tarball", str(package))
    assert done.returncode == 1 and "outside" in done.stderr
    assert not (script.folder / "escaped.js").exists() and not script.out.exists()


def test_a_package_that_looks_otherwise_is_refused(script: Script) -> None:
    package = packed(script.folder, {"index.html": "", "app.js": "x"})
    script.trust(package)
    done = script.run("--tarball", str(package))
    assert done.returncode == 1 and "look as expected" in done.stderr
    assert not script.out.exists()


def test_without_npm_it_says_what_to_do(script: Script) -> None:
    done = script.run()
    assert done.returncode == 1 and "apt install npm" in done.stderr


def test_npm_is_asked_for_the_one_version(script: Script, tmp_path: Path) -> None:
    package = packed(script.folder)
    script.trust(package)
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\n/bin/cp {package} ./ohif-app.tgz\n')
    npm.chmod(0o755)
    done = script.run(path=str(npm.parent))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == "pack --silent @ohif/app@3.13.2\n"
