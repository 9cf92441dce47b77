"""Who asks, as backends see it."""

from __future__ import annotations

from gateway.backends.caller import CALLER, NOBODY, Caller, caller


def test_without_a_request_nobody_asks() -> None:
    assert caller() is NOBODY
    assert (NOBODY.scope, NOBODY.fresh) == ("", False)


def test_a_context_has_its_own_caller() -> None:
    token = CALLER.set(Caller("Bearer one"))
    assert caller().authorization == "Bearer one"
    CALLER.reset(token)
    assert caller() is NOBODY


def test_a_scope_stands_for_the_credentials_and_does_not_give_them_away() -> None:
    one, same, other = Caller("Bearer one"), Caller("Bearer one", fresh=True), Caller("Bearer two")
    assert one.scope == same.scope != other.scope
    assert "one" not in one.scope and "Bearer" not in repr(one)


def test_bytes_that_are_no_text_have_a_scope_too() -> None:
    assert len(Caller("Bearer \udcff").scope) == 64
