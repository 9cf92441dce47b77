"""What one caller can make the gateway hold or do, and what it remembers."""

from __future__ import annotations

from pydantic import ByteSize, Field, model_validator

from gateway.sections.base import GIB, KIB, MIB, Count, Seconds, Section, Size


class Limits(Section):
    """Bounds on what one caller can make the gateway hold or do; each answers with an error that names it."""

    preamble_bytes: Size = ByteSize(4 * KIB)
    """Multipart: bytes before the first boundary; an endless preamble is an attack."""
    part_headers: Count = 32
    """Multipart: header lines of a part; real parts have one to four."""
    part_header_bytes: Size = Field(ByteSize(16 * KIB), ge=64)
    """Multipart: bytes of all headers of a part."""
    parts: Count = 20_000
    """Multipart: parts of a request; the largest series have some thousands of instances."""
    instance_bytes: Size = Field(ByteSize(16 * GIB), ge=1)
    """One instance; whole-slide images reach a few GiB."""
    header_bytes: Size = Field(ByteSize(16 * MIB), ge=1024)
    """One instance without its bulk values; functional groups of large multi-frames reach some MiB."""
    elements: Count = 200_000
    """Elements of an instance, those in sequences included."""
    items: Count = 50_000
    """Sequence items of an instance; each costs memory that the sender gets for 8 bytes."""
    fragments: Count = 500_000
    """Fragments of compressed pixel data; a slide of 100,000 x 100,000 pixels has 150,000."""
    depth: Count = 64
    """Nested sequences; real structured reports stay below 20."""
    inflated_bytes: Size = Field(ByteSize(64 * MIB), ge=1024)
    """What a deflated instance may grow to; deflate packs zeros a thousandfold."""
    value_bytes: Size = Field(ByteSize(64 * KIB), ge=1024)
    """One value that the index keeps; a longer identifier is no identifier."""
    stow_in_flight: Count = 64
    """Stores that a worker runs at once; more are told to come back (503)."""
    buffered_bytes: Size = Field(ByteSize(64 * MIB), ge=MIB)
    """Header bytes that all stores of a worker hold together; more are told to come back (503)."""
    bulk_bytes: Size = Field(ByteSize(4 * GIB), ge=MIB)
    """Disk of a worker for bulk data that come apart from their metadata; an instance whose bulk data do not fit is refused."""
    results_default: Count = 1000
    """Studies or series of a search that names no limit; no study has more series."""
    results_max: Count = 5000
    """Studies or series of a search, whatever limit it names."""
    instances_default: Count = 10_000
    """Instances of a search that names no limit; about 10 MB of JSON."""
    instances_max: Count = 50_000
    """Instances of a search, whatever limit it names."""
    offset_max: Count = 1_000_000
    """How far a search may skip; every skipped row is read."""
    kept_bytes: Size = ByteSize(64 * MIB)
    """Finished metadata, and compressed answers, that a worker keeps for the next caller; the oldest go first, 0 keeps none."""

    @model_validator(mode="after")
    def _defaults_fit(self) -> Limits:
        if self.results_default > self.results_max or self.instances_default > self.instances_max:
            raise ValueError("results_default and instances_default cannot pass results_max and instances_max")
        return self


class Cache(Section):
    """What is remembered: answers of origins, and what was made of pixels, of any store."""

    memory_bytes: Size = ByteSize(64 * MIB)
    """Answers that a worker keeps in memory; the least used go first, 0 keeps none there."""
    disk_bytes: Size = ByteSize(4 * GIB)
    """Answers that all workers keep on disk, below `data`; they outlive a restart, 0 keeps none there."""
    entry_bytes: Size = Field(ByteSize(256 * MIB), ge=MIB)
    """The largest answer that is kept; a longer one only passes through."""
    ttl: Seconds = 60
    """Seconds that searches and metadata are believed; what passes the gateway is known at once, what others write to the origin is not."""
    content_ttl: Seconds = 86_400
    """Seconds that frames, pictures and bulk data are believed; the bytes of an instance hardly ever change under its UID."""
    stale_if_error: Seconds = 3600
    """Seconds that an answer may be older than that while the origin is down; it is marked with a Warning then, 0 gives none."""
