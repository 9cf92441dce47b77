"""Lookup tables."""

from __future__ import annotations

from struct import pack

import numpy as np
import pytest

from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.lookup import Table, descriptor, table, words
from tests.pixels.render.subject import said


def test_values_outside_get_the_first_and_last_entry() -> None:
    found = table(said(_00283002=[3, -1, 8], _00283006=bytes((10, 20, 255))), signed=True)
    assert found is not None
    assert found.of(np.array([-9.0, -1.0, 0.4, 0.6, 1.0, np.inf, -np.inf])).tolist() == [10, 10, 20, 255, 255, 255, 10]
    assert found.normal(np.array([1.0])).tolist() == [1.0]


def test_a_first_value_below_zero_may_have_been_written_as_a_large_one() -> None:
    assert descriptor([0, 64512, 16], signed=True) == (65536, -1024, 16)
    assert descriptor([0, 64512, 16], signed=False) == (65536, 64512, 16)


def test_entries_of_8_bits_lie_two_in_a_word_or_one() -> None:
    assert words(b"\1\2\3\0", 3, 8).tolist() == [1, 2, 3]
    assert words(b"\1\0\2\0\3\0", 3, 8).tolist() == [1, 2, 3]
    assert words(b"\1\2\3\4\5", 9, 16).tolist() == [0x201, 0x403]


def test_more_than_the_promised_bits_are_believed() -> None:
    found = table(said(_00283002=[2, 0, 8], _00283006=pack("<2H", 0, 4095)), signed=False)
    assert found is not None and found.bits == 12


NONE = [None, said(), said(_00283002=[1, 2]), said(_00283002=[2, 0, 8]), said(_00283002=[2, 0, 16], _00283006=b"\1")]


@pytest.mark.parametrize("item", NONE)
def test_what_is_no_table_is_none(item: Attributes | None) -> None:
    assert table(item, signed=False) is None


def test_a_table_of_one_entry() -> None:
    assert Table(5, np.array([7]), 8).of(np.array([1.0, 5.0, 9.0])).tolist() == [7, 7, 7]
