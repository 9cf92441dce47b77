from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from gateway.backends.notifying.webhooks import Hook, Webhook, signature
from tests.backends.notifying.receivers import SECRET, receiving
from tests.backends.notifying.test_events import message


def test_the_moment_is_signed_with_the_body() -> None:
    expected = hmac.new(b"key", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("key", b'{"a":1}', 1_700_000_000) == f"t=1700000000,v1={expected}"
    assert signature("key", b'{"a":1}', 1_700_000_001) != signature("key", b'{"a":1}', 1_700_000_000)


async def test_a_message_is_signed_and_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    async with receiving() as receivers:
        hook = Hook(Webhook(receivers.hook, tmp_path / "secret"), 5)
        assert hook.limit == 1
        outcome = await hook.send([message("1.1")])
        await hook.aclose()
    assert (outcome.sent, outcome.refused, outcome.away) == ([7], {}, None)
    assert (receivers.ids, len(receivers.signatures), receivers.faults) == (["7"], 1, [])


async def test_without_a_secret_nothing_is_signed() -> None:
    async with receiving() as receivers:
        hook = Hook(Webhook(receivers.hook), 5)
        await hook.send([message("1.1")])
        await hook.aclose()
    assert len(receivers.taken) == 1 and receivers.signatures == []


async def test_a_secret_that_cannot_be_read_sends_nothing(tmp_path: Path) -> None:
    async with receiving() as receivers:
        hook = Hook(Webhook(receivers.hook, tmp_path / "none"), 5)
        outcome = await hook.send([message("1.1")])
        await hook.aclose()
    assert outcome.away is not None and "secret_file" in outcome.away
    assert receivers.calls == []


@pytest.mark.parametrize(
    ("status", "header", "after"), [(503, {}, None), (429, {"Retry-After": "9"}, 9.0), (404, {}, None), (302, {"Location": "/"}, None)]
)
async def test_each_answer_has_its_meaning(status: int, header: dict[str, str], after: float | None) -> None:
    async with receiving() as receivers:
        receivers.script = [(status, header)]
        hook = Hook(Webhook(receivers.hook), 5)
        outcome = await hook.send([message("1.1")])
        await hook.aclose()
    away = status in (503, 429)
    assert (outcome.away is not None, outcome.after) == (away, after)
    assert (outcome.sent, list(outcome.refused)) == ([], [] if away else [7])
