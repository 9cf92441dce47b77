"""The script that brings the programs which judge the gateway, with a Debian of a few lines around it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / ".ci" / "peers"

APT_GET = """
echo "$* policy=$(test -e "$POLICY_RC_D" && echo yes) frontend=${DEBIAN_FRONTEND:-}" >>"$0.log"
case $1 in
    update) touch "$0.lists" ;;
    install) test -e "$0.lists" || exit 100; for command in $PROVIDES; do ln -s "$(command -v cat)" "$(dirname "$0")/$command"; done ;;
esac
"""


class Debian:
    """Nothing on the PATH but what a test put there, and an apt-get that writes down what it is asked for."""

    def __init__(self, folder: Path, user: str, provides: str = "curl dcm2xml Orthanc") -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.policy = folder / "policy-rc.d"
        for name in ("cat", "chmod", "dirname", "ln", "rm", "touch"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self._script("id", f"echo {user}")
        self._script("apt-get", APT_GET)
        self._script("dpkg-query", 'test -e "$(dirname "$0")/Orthanc" && echo installed')
        self._environment = {"PATH": str(self.bin), "POLICY_RC_D": str(self.policy), "PROVIDES": provides}

    def _script(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def has(self, *commands: str) -> None:
        for command in commands:
            self._script(command, "")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(SCRIPT), *words], env=self._environment, capture_output=True, text=True, check=False)

    @property
    def asked(self) -> list[str]:
        log = self.bin / "apt-get.log"
        return log.read_text().splitlines() if log.exists() else []


def test_what_is_here_costs_nothing(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="1000")
    debian.has("curl", "dcm2xml", "Orthanc")
    done = debian.run()
    assert (done.returncode, done.stdout, done.stderr, debian.asked) == (0, "", "", [])


def test_a_user_is_told_the_command(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="1000")
    debian.has("curl", "Orthanc")
    done = debian.run()
    assert done.returncode == 1 and "sudo apt-get install --no-install-recommends dcmtk\n" in done.stderr
    assert debian.asked == []


def test_root_gets_it_installed_and_no_service_started(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="0")
    done = debian.run()
    assert done.returncode == 0, done.stderr
    install = "install -y -qq --no-install-recommends curl dcmtk orthanc orthanc-dicomweb policy=yes frontend=noninteractive"
    assert debian.asked == [install, "update -qq policy=yes frontend=", install]
    assert not debian.policy.exists()


def test_lists_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="0")
    (debian.bin / "apt-get.lists").touch()
    assert debian.run().returncode == 0
    assert [line.split()[0] for line in debian.asked] == ["install"]


def test_the_policy_of_a_machine_stays(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="0")
    debian.policy.write_text("its own")
    assert debian.run().returncode == 0
    assert debian.policy.read_text() == "its own"


def test_a_package_that_brings_nothing_is_an_error(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="0", provides="curl Orthanc")
    done = debian.run()
    assert done.returncode == 1 and "Still missing after apt-get install: dcmtk" in done.stderr


def test_for_the_browser_other_things_are_needed(tmp_path: Path) -> None:
    debian = Debian(tmp_path, user="1000")
    debian.has("npm")
    done = debian.run("browser")
    assert done.returncode == 1 and "sudo apt-get install --no-install-recommends chromium\n" in done.stderr
    debian.has("chromium")
    assert debian.run("browser").returncode == 0
