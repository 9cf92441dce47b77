from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.scenarios.tokens import Token


def test_without_a_token_nothing_is_sent() -> None:
    assert Token().headers() == {}


def test_a_token_comes_from_a_file_rather_than_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOMWEB_TOKEN", "of-the-environment")
    (tmp_path / "token").write_text("  of-the-file \n")
    assert Token.of_host("").headers() == {"Authorization": "Bearer of-the-environment"}
    assert Token.of_host(str(tmp_path / "token")).headers() == {"Authorization": "Bearer of-the-file"}


def test_another_server_gets_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOMWEB_TOKEN", "of-the-environment")
    assert Token("").headers() == {}


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    token = Token(str(file))
    assert token.headers() == {"Authorization": "Bearer old"}
    file.write_text("new")
    os.utime(file, ns=(1, 1))
    assert token.headers() == {"Authorization": "Bearer new"}


@pytest.mark.parametrize("text", ["", " \n", "two words"])
def test_a_file_holds_one_token_and_errors_do_not_show_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(ValueError, match="has to hold one token") as caught:
        Token(str(tmp_path / "token")).headers()
    assert "words" not in str(caught.value)


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Token(str(tmp_path / "token")).headers()


@pytest.mark.parametrize("half_done", ["emptied", "removed"])
def test_while_a_file_is_replaced_its_token_goes_on(tmp_path: Path, half_done: str) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    token = Token(str(file))
    token.headers()
    if half_done == "emptied":
        file.write_text("")
        os.utime(file, ns=(1, 1))
    else:
        file.unlink()
    assert token.headers() == {"Authorization": "Bearer old"}
    file.write_text("new")
    assert token.headers() == {"Authorization": "Bearer new"}
