"""What a table of the settings is made of.

Sizes are bytes (``"64MiB"`` is understood), times are seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationInfo, field_validator

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

Size = Annotated[ByteSize, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses what pydantic would make something else of: true would be 1, and no text the working directory."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind is not bool:
            raise ValueError("cannot be true or false")
        if kind in (Path, Path | None):
            refuse_no_path(value)
        return value


def refuse_no_path(value: object) -> None:
    """:raises ValueError: for a path that is an empty text, as a variable leaves one that was set to nothing."""
    if value == "":
        raise ValueError("is empty; leave it out where there is none")
