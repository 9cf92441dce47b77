"""The rules of the house that no other tool checks: the floors, the twins, the sizes, the exemptions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import logs, toml

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))

SHARES = 8
"""Of the modules that are imported one by one: a busy machine takes minutes for all of them."""

LONGEST = {"gateway": 400, "loadtests": 400, "tests": 500}
"""Lines of a file; what grows beyond is two ideas. A test file may follow its source a little further."""

LONGER: dict[str, str] = {}
"""Files that are longer, each with its reason."""

HEAVY = ("numpy", "imagecodecs", "simplejpeg", "PIL", "pydicom")
"""What only pixel processes import."""

WITHOUT_TWIN = {
    "gateway/__main__.py": "two lines; tests/test_cli.py runs it",
    "gateway/exits.py": "three numbers",
}
"""Sources without a test file of the same name, each with its reason. Package files (__init__) hold no code."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def twin(path: Path) -> Path:
    inside = path.relative_to(ROOT / "gateway")
    return ROOT / "tests" / inside.parent / f"test_{inside.name}"


def test_imports_keep_to_the_floors() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("share", range(SHARES))
def test_each_module_imports_alone(share: int) -> None:
    """In one interpreter a module may live off what others imported before it; each gets a fresh start in a forked child."""
    code = """
import importlib, os, sys
import aiohttp, pydantic_settings, prometheus_client, numpy, PIL.Image, imagecodecs, cyclopts, uvloop, structlog, aiofiles  # slow, not ours
import gateway.dicom.tables  # large, and imports nothing of ours
failed = []
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    failed.append(os.waitpid(child, 0)[1])
sys.exit(any(failed))
"""
    names = [module(path) for path in SOURCES if path.name != "__main__.py"][share::SHARES]
    assert names
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["app", "worker", "cli"])
def test_the_gateway_imports_no_codec(name: str) -> None:
    """What decodes and draws is for pixel processes: here it would cost each worker 50 MiB, half a second and a place to be attacked."""
    code = f"import gateway.{name}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_each_source_has_a_twin_test_or_a_reason(path: Path) -> None:
    if path.name == "__init__.py":
        return
    assert twin(path).exists() != (relative(path) in WITHOUT_TWIN)


def test_reasons_are_given_for_files_that_exist() -> None:
    assert [name for name in (*WITHOUT_TWIN, *LONGER) if not (ROOT / name).exists()] == []


def test_package_files_hold_words_and_no_code() -> None:
    for path in SOURCES:
        if path.name == "__init__.py":
            text = path.read_text()
            assert re.fullmatch(r'\s*""".*"""\s*', text, re.DOTALL), relative(path)


def test_test_folders_are_packages() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [relative(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_file_is_too_long() -> None:
    sizes = {relative(path): path.read_bytes().count(b"\n") for path in python_files()}
    assert {name for name, size in sizes.items() if size > LONGEST[name.split("/")[0]]} == set(LONGER)


def python_files() -> Iterator[Path]:
    for folder in ("gateway", "tests", "loadtests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_exemptions_from_a_lint_carry_their_reason() -> None:
    """``# noqa: S301 - why`` and ``# type: ignore[code]  # why``."""
    bare = re.compile(r"# noqa(?!: [A-Z0-9, ]+ - \S)|# type: ignore(?!\[[a-z, -]+\]  # \S)|# pragma|@pytest\.mark\.(skip|xfail)\b")
    found = [
        f"{relative(path)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line) and path != Path(__file__)
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX)\b")
    found = [
        f"{relative(path)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if later.search(line) and path != Path(__file__)
    ]
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_what_is_logged_under_a_key_may_leave(path: Path) -> None:
    """A key that `logs` does not know is withheld, and whoever reads the log misses what was to be said."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    logged = (call for call in calls if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in ("log", "_log"))
    keys = {keyword.arg for call in logged for keyword in call.keywords} - {None, "exc_info"}
    assert keys <= logs.ALLOWED


def test_the_reference_settings_are_up_to_date() -> None:
    """``dicomweb-gateway check-config --reference > config/gateway.toml`` renews them."""
    assert (ROOT / "config" / "gateway.toml").read_text() == toml.reference()


def test_locks_have_hashes_and_name_no_index() -> None:
    for lock in sorted(ROOT.glob("requirements*.lock")):
        text = lock.read_text()
        assert "://" not in text, lock.name
        assert "index-url" not in text, lock.name
        for package in re.split(r"\n(?=\S)", text):
            if "==" in package.splitlines()[0]:
                assert "--hash=sha256:" in package, package


def test_locks_agree() -> None:
    """What the small lock pins, the larger ones pin to the same version."""
    pins = {lock.name: pinned(lock) for lock in ROOT.glob("requirements*.lock")}
    for name, others in pins.items():
        for package, versions in pins["requirements.lock"].items():
            assert others.get(package, versions) == versions, (name, package)


def pinned(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9-]+)(?:\[\S+\])?==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found
