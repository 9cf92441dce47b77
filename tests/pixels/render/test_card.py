"""Cards."""

from __future__ import annotations

import numpy as np

from gateway.pixels.render.card import SIDE, card


def test_words_stay_inside() -> None:
    for title, line in (("SR", "report"), ("WWWWWWWWWWWW", "a long line that tells a lot of things")):
        shown = card(title, line)
        assert shown.shape == (SIDE, SIDE, 3)
        assert len(np.unique(shown)) > 3
        middle = shown[40:-40]
        assert np.all(middle[:, 30:36] == middle[0, 30])
        assert np.all(middle[:, -36:-30] == middle[0, 30])


def test_cards_differ() -> None:
    assert np.any(card("SR", "report") != card("KO", "report"))
    assert np.any(card("SR", "report") != card("SR", "plan"))
