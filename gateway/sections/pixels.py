"""What can be set of pixel processes."""

from __future__ import annotations

from pydantic import ByteSize, Field, model_validator

from gateway.sections.base import GIB, MIB, Count, Seconds, Section, Size

# numpy and the codecs, as address space: 210 MiB measured, and room for their tables.
_PIXEL_LIBRARIES = 300 * MIB


class Pixels(Section):
    """Decoding and drawing, in processes that may be killed without harm; each limit answers with an error that names it."""

    processes: int = Field(0, ge=0)
    """Pixel processes of a worker at most, started when they are needed; 0 is this worker's share of the CPUs."""
    queue: Count = 256
    """Pictures of a worker that may wait for a process; more are told to come back (503)."""
    job_seconds: Seconds = Field(30, gt=0)
    """Seconds that one picture or some frames may take; a decoder that loops is killed then."""
    memory_bytes: Size = Field(ByteSize(2 * GIB), ge=256 * MIB)
    """Address space of a pixel process; the libraries take 300 MiB, and work on a frame three times frame_bytes."""
    frame_bytes: Size = Field(ByteSize(512 * MIB), ge=MIB)
    """One decoded frame; what claims to be larger is not decoded."""
    picture_pixels: Count = 64 * MIB
    """Pixels of one rendered picture."""
    cine_frames: Count = 200
    """Frames of one animated picture."""
    area_bytes: Size = Field(ByteSize(GIB), ge=MIB)
    """Disk for whole instances of origins that are being turned into another transfer syntax."""

    @model_validator(mode="after")
    def _a_frame_fits(self) -> Pixels:
        if self.memory_bytes < 3 * self.frame_bytes + _PIXEL_LIBRARIES:
            raise ValueError("memory_bytes must be three times frame_bytes and 300 MiB: a frame is decoded, changed and written")
        return self
