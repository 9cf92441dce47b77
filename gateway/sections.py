"""What a table of the settings is made of; the tables themselves are in `config` and `stores`, and one for tests here.

Sizes are bytes (``"64MiB"`` is understood), times are seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

Size = Annotated[ByteSize, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


class Emulator(Section):
    """Errors on purpose below /v1 and /v1beta1, for tests of clients: do they try again, and do they wait?"""

    error_rate: float = Field(0, ge=0, le=1, allow_inf_nan=False)
    """The share of requests that are answered with an error and do nothing: 0 none, 0.1 every tenth, 1 all."""
    statuses: tuple[Literal[429, 500, 503], ...] = Field((429, 503), min_length=1)
    """Statuses of these errors, each as likely as the others; 429, 500 and 503 are those that Google's API asks clients to repeat."""
    retry_after: int = Field(1, ge=0)
    """Seconds in the Retry-After of these errors; 0 leaves that header out."""
