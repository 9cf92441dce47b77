from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.web.tokens import TokenFile, tokens_of
from tests.web.conftest import Lines


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b"sesame", (b"sesame",)),
        (b"one\ntwo\n", (b"one", b"two")),
        (b"\xef\xbb\xbfone\r\n  two  \r\n\r\n", (b"one", b"two")),
        (b"# of the viewers\none\n#two\n", (b"one",)),
        (b"", ()),
    ],
)
def test_tokens_are_what_stands_in_lines(text: bytes, tokens: tuple[bytes, ...]) -> None:
    assert tokens_of(text) == tokens


async def test_they_are_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(b"one")
    tokens = TokenFile(path)
    assert await tokens() == (b"one",)
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert await tokens() == (b"two",)


async def test_a_file_that_is_gone_lets_nobody_in_until_it_is_there_again(tmp_path: Path, lines: Lines) -> None:
    lines.expected = {"the token file cannot be read"}
    path = tmp_path / "tokens"
    path.write_bytes(b"one")
    tokens = TokenFile(path)
    assert await tokens() == (b"one",)
    modified = path.stat().st_mtime_ns
    path.unlink()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"server\.token_file"):
            await tokens()
    path.write_bytes(b"two")
    os.utime(path, ns=(modified, modified))  # as a copy that keeps times would have it
    assert await tokens() == (b"two",)
