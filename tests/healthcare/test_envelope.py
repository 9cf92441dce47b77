from __future__ import annotations

import pytest

from gateway.healthcare.envelope import code_of, envelope, rpc_status


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (406, "INVALID_ARGUMENT"),
        (409, "ALREADY_EXISTS"),
        (501, "UNIMPLEMENTED"),
        (503, "UNAVAILABLE"),
        (599, "INTERNAL"),
    ],
)
def test_each_status_has_a_code(status: int, name: str) -> None:
    assert envelope(status, "what is wrong") == {"error": {"code": status, "message": "what is wrong", "status": name}}


def test_operations_carry_the_number_of_the_code() -> None:
    assert rpc_status(404, "gone") == {"code": 5, "message": "gone"}
    assert code_of(500) == ("INTERNAL", 13)
