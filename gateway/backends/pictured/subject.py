"""What is to be drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.backends.pictured.choosing import Kind, kind_of
from gateway.backends.pictured.headers import Header
from gateway.dicomweb.rendering import Rendering
from gateway.dicomweb.resources import Resource
from gateway.pixels.image import Image, number
from gateway.pixels.work import NotDrawable


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn.

    :param resource: the instance; of frames at most the one that is meant.
    :param thumbnail: whether it is to be recognised rather than read.
    """

    resource: Resource
    header: Header
    media: str
    rendering: Rendering
    thumbnail: bool = False

    @property
    def alone(self) -> Resource:
        """The instance."""
        return replace(self.resource, frames=())

    @property
    def frame(self) -> int | None:
        """The frame that was asked for."""
        return self.resource.frames[0] if self.resource.frames else None

    @property
    def kind(self) -> Kind:
        """What the instance is."""
        return kind_of(self.header.data, self.header.image)

    @property
    def what(self) -> str:
        """For people: what it is, and the transfer syntax of what has pixels."""
        return f"the {self.kind.value}" + (f", stored as {self.header.syntax}," if self.header.image is not None else "")

    @property
    def image(self) -> Image:
        """Its pixels. :raises NotDrawable: when it has none."""
        if self.header.image is None:
            raise NotDrawable("the instance has no pixels")
        return self.header.image

    def number(self) -> int:
        """The frame that stands for it."""
        if self.frame is not None:
            return self.frame
        if self.thumbnail:
            return (self.image.frames + 1) // 2
        found = number(self.header.data, "00286010") or 1
        return found if 1 <= found <= self.image.frames else 1
