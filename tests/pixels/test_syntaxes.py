from __future__ import annotations

import pytest

from gateway.dicom import part10
from gateway.pixels import syntaxes


def test_everything_decodable_can_become_explicit_first() -> None:
    for syntax in syntaxes.DECODABLE - {syntaxes.EXPLICIT}:
        assert syntaxes.targets(syntax)[0] == syntaxes.EXPLICIT


def test_targets_that_lose_come_last_and_never_the_syntax_itself() -> None:
    for syntax in syntaxes.DECODABLE:
        losses = [syntaxes.is_lossy(target) for target in syntaxes.targets(syntax)]
        assert losses == sorted(losses)
        assert syntax not in syntaxes.targets(syntax)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.826.0.1.3680043.9.9999.1", ""])
def test_video_and_unknown_syntaxes_have_no_targets(syntax: str) -> None:
    assert syntaxes.targets(syntax) == ()


def test_what_is_written_without_loss_can_be_read_again() -> None:
    assert syntaxes.ENCODABLE < syntaxes.DECODABLE
    assert not any(syntaxes.is_lossy(syntax) for syntax in syntaxes.LOSSLESS_TARGETS)
    assert all(syntaxes.is_lossy(syntax) for syntax in syntaxes.LOSSY_TARGETS)


def test_names_are_those_of_the_ground_floor() -> None:
    assert {part10.IMPLICIT, part10.EXPLICIT, part10.BIG_ENDIAN, syntaxes.DEFLATED} == syntaxes.NATIVE
    assert syntaxes.DEFLATED in part10.DEFLATED
