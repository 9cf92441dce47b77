"""What requests hold until they commit."""

from __future__ import annotations

import pytest

from gateway.backends.local import waiting
from gateway.backends.local.waiting import Waiting
from gateway.errors import Busy, TooLarge


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "INDEXED", 100)


def test_a_request_by_itself_may_hold_all_of_it_and_no_more() -> None:
    everything = Waiting()
    one = everything.request()
    one.take(60)
    one.take(40)
    with pytest.raises(TooLarge, match="send them in several requests"):
        one.take(1)
    assert everything.held == 100


def test_several_share_it() -> None:
    everything = Waiting()
    one, two = everything.request(), everything.request()
    one.take(60)
    with pytest.raises(Busy, match="try again"):
        two.take(41)
    two.take(40)
    one.release()
    two.take(60)
    two.release()
    assert everything.held == 0


def test_what_a_thread_takes_for_a_request_that_has_ended_is_not_held_for_ever() -> None:
    everything = Waiting()
    one = everything.request()
    one.take(60)
    one.release()
    one.release()
    with pytest.raises(Busy):
        one.take(1)
    assert everything.held == 0
