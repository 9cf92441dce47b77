"""Pixels that are not square."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.pixels.render.aspect import aspect
from gateway.pixels.render.dataset import SHARED
from tests.pixels.render.subject import said


@pytest.mark.parametrize(
    ("tags", "ratio"),
    [
        ({}, 1.0),
        ({"00280030": ["0.2", "0.1"]}, 2.0),
        ({"00280034": ["4", "3"]}, 4 / 3),
        ({"00280034": ["1", "2"]}, 0.5),
        ({"00181164": [1, 2], "00280034": [3, 1]}, 0.5),
        ({"00280030": [1, 1], "00280034": [3, 1]}, 1.0),
        ({SHARED: [said(_00289110=[said(_00280030=[3, 1])])], "00280030": [1, 1]}, 3.0),
        ({"00280030": ["0.683594", "0.683601"]}, 1.0),
        ({"00280030": [100, 0.1]}, 1.0),
        ({"00280030": [0, 1]}, 1.0),
        ({"00280030": ["x", 1]}, 1.0),
        ({"00280030": [1]}, 1.0),
    ],
)
def test_height_by_width(tags: dict[str, Any], ratio: float) -> None:
    assert np.isclose(aspect(said(tags), 1), ratio)
