"""A file of settings for a test."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, text: str) -> Path:
    """The path of a file that says `text`."""
    path = folder / "gateway.toml"
    path.write_text(text)
    return path
