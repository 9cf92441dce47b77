"""What is known of a request while it is being answered."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request

from gateway.web.context import CONTEXT, Context, context_of


def test_the_first_byte_is_noted_once() -> None:
    context = Context("a1b2c3d4")
    noted = [context.first]
    for _ in range(2):
        context.first_byte()
        noted.append(context.first)
    before, first, again = noted
    assert before is None
    assert first is not None
    assert first >= context.started
    assert again == first


async def test_the_context_of_a_request_is_the_one_that_was_made() -> None:
    request = make_mocked_request("GET", "/")
    context = request[CONTEXT] = Context("a1b2c3d4", "search", 3.0)
    assert context_of(request) is context
    assert (context.transaction, context.stall_timeout, context.received, context.sent, context.instances) == ("search", 3.0, 0, 0, 0)
