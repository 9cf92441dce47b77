"""What can be set of the Cloud Healthcare API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.sections.base import Section


class Healthcare(Section):
    """Datasets and DICOM stores by the Cloud Healthcare API, below /v1 and /v1beta1."""

    create: bool = True
    """Whether callers may create, change and delete datasets and stores; those of this file nobody changes by API."""


class Emulator(Section):
    """Errors on purpose below /v1 and /v1beta1, for tests of clients: do they try again, and do they wait?"""

    error_rate: float = Field(0, ge=0, le=1, allow_inf_nan=False)
    """The share of requests that are answered with an error and do nothing: 0 none, 0.1 every tenth, 1 all."""
    statuses: tuple[Literal[429, 500, 503], ...] = Field((429, 503), min_length=1)
    """Statuses of these errors, each as likely as the others; 429, 500 and 503 are those that Google's API asks clients to repeat."""
    retry_after: int = Field(1, ge=0)
    """Seconds in the Retry-After of these errors; 0 leaves that header out."""
