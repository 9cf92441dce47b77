"""The settings of every backend."""

from __future__ import annotations

from typing import get_args

from gateway.backends.policy import OnDuplicate
from gateway.sections.stores import Store


def test_each_policy_can_be_configured() -> None:
    said = get_args(Store.model_fields["on_duplicate"].annotation)
    assert {policy.value for policy in OnDuplicate} == set(said)
