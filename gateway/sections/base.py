"""What a table of the settings is made of.

Sizes are bytes (``"64MiB"`` is understood), times are seconds.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

Size = Annotated[ByteSize, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
