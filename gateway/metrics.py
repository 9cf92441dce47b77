"""Every Prometheus series of the gateway, once, with its unit in the name.

Labels come from closed sets that are written here, never from a request: no UID, name, path or address can become a
label value, so `/metrics` holds nothing of a patient and its size is bounded.

With several workers the server sets PROMETHEUS_MULTIPROC_DIR before this module is first imported; the series of all
workers then add up in whichever of them answers `/metrics`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal, NamedTuple, get_args

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

Transaction = Literal[
    "store", "search", "retrieve", "metadata", "frames", "bulkdata", "rendered", "delete", "capabilities", "health", "page", "other"
]
"""The services of PS3.18 chapter 10 as the closed set of the label `transaction`."""

TRANSACTIONS: tuple[Transaction, ...] = get_args(Transaction)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_FIRST = (0.001, 0.0025, 0.01, 0.025, 0.1, 0.5, 2.5)
_SYNC = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)

REQUESTS = Counter("gateway_requests", "Requests answered.", ["transaction", "status"])
REQUEST_SECONDS = Histogram(
    "gateway_request_seconds", "From the request's headers to the end of its answer.", ["transaction"], buckets=_FAST
)
FIRST_BYTE_SECONDS = Histogram(
    "gateway_first_byte_seconds", "From the request's headers to the first byte of its answer.", ["transaction"], buckets=_FIRST
)
IN_FLIGHT = Gauge("gateway_in_flight_requests", "Requests being answered now.", ["transaction"], multiprocess_mode="livesum")
RECEIVED_BYTES = Counter("gateway_received_bytes", "Body bytes read from clients.", ["transaction"])
SENT_BYTES = Counter("gateway_sent_bytes", "Body bytes sent to clients.", ["transaction"])
ABORTED = Counter("gateway_aborted_answers", "Answers that broke off after their headers were out.", ["transaction"])

COMPRESSED = Counter("gateway_compressed_answers", "Answers with a content coding: made now, or kept from before.", ["coding", "source"])
COMPRESSION_IN_BYTES = Counter("gateway_compression_in_bytes", "Bytes that were compressed.", ["coding"])
COMPRESSION_OUT_BYTES = Counter("gateway_compression_out_bytes", "What became of them.", ["coding"])
KEPT_BYTES = Gauge("gateway_kept_bytes", "Bytes of compressed answers held in memory.", multiprocess_mode="livesum")

INSTANCES = Counter("gateway_instances", "Instances stored or sent.", ["transaction"])
STORE_OUTCOMES = Counter(
    "gateway_store_outcomes", "What became of each part of a store request; reason as in PS3.18 Annex I.", ["outcome", "reason"]
)
LONG_HEADERS = Counter("gateway_long_headers", "Instances whose UIDs lay so far in that a thread had to look for them.")
BUFFERED_BYTES = Gauge("gateway_buffered_bytes", "Bytes of uploads held in memory.", multiprocess_mode="livesum")
BULK_BYTES = Gauge("gateway_bulk_bytes", "Bytes of bulk data that wait for the metadata of their instances.", multiprocess_mode="livesum")

COMMIT_SECONDS = Histogram("gateway_index_commit_seconds", "One group commit: lock, rename, directory fsync, transaction.", buckets=_SYNC)
COMMIT_INSTANCES = Histogram(
    "gateway_index_commit_instances", "Instances that shared one commit.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
INDEX_READ_SECONDS = Histogram("gateway_index_read_seconds", "One read of the index.", buckets=_SYNC)
FSYNC_SECONDS = Histogram("gateway_fsync_seconds", "One fsync, by what was synced.", ["what"], buckets=_SYNC)
METADATA_COMPUTED = Counter("gateway_metadata_computed_instances", "Instances whose DICOM JSON was computed because none was kept yet.")

LOOP_LAG_SECONDS = Histogram(
    "gateway_loop_lag_seconds", "How late the event loop woke a sleeping task.", buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
)
LOG_DROPPED = Counter("gateway_log_dropped_lines", "Log lines dropped because the reader of the log was too slow.")
EMULATED_ERRORS = Counter("gateway_emulated_answers", "Errors that were answered on purpose ([emulator]).", ["status"])


class OfTransaction(NamedTuple):
    """What every request counts, already looked up: `labels` takes a lock, and twice the time of counting."""

    in_flight: Gauge
    seconds: Histogram
    first_byte: Histogram
    sent: Counter
    instances: Counter


@cache
def of_transaction(transaction: Transaction) -> OfTransaction:
    """The series of one transaction."""
    return OfTransaction(
        IN_FLIGHT.labels(transaction),
        REQUEST_SECONDS.labels(transaction),
        FIRST_BYTE_SECONDS.labels(transaction),
        SENT_BYTES.labels(transaction),
        INSTANCES.labels(transaction),
    )


@lru_cache(maxsize=256)
def answered(transaction: Transaction, status: int) -> Counter:
    """The requests of one transaction that were answered with one status."""
    return REQUESTS.labels(transaction, str(status))


# Calls to origins: `origin` is the name of the store, one of those that the settings name.
ORIGIN_CALLS = Counter(
    "gateway_origin_calls",
    "Calls to an origin, each try; status is the answer's, or failed, timeout, left.",
    ["origin", "transaction", "status"],
)
ORIGIN_FIRST_BYTE_SECONDS = Histogram(
    "gateway_origin_first_byte_seconds",
    "From the end of a request to an origin to its answer's headers.",
    ["origin", "transaction"],
    buckets=_FAST,
)
ORIGIN_SENT_BYTES = Counter("gateway_origin_sent_bytes", "Body bytes sent to an origin.", ["origin", "transaction"])
ORIGIN_RECEIVED_BYTES = Counter("gateway_origin_received_bytes", "Body bytes read from an origin.", ["origin", "transaction"])
ORIGIN_RETRIES = Counter("gateway_origin_retries", "Calls to an origin that were made again.", ["origin"])
ORIGIN_IN_FLIGHT = Gauge("gateway_origin_in_flight_calls", "Calls at an origin now.", ["origin"], multiprocess_mode="livesum")
ORIGIN_BREAKER = Gauge(
    "gateway_origin_breaker_state",
    "0 closed, 1 half open, 2 open: nothing is sent; of several workers the worst.",
    ["origin"],
    multiprocess_mode="livemax",
)

# The cache: `store` is the name of a store, one of those that the settings name.
CACHE_HITS = Counter("gateway_cache_hit_answers", "Requests answered from what was kept.", ["store", "kind", "tier"])
CACHE_MISSES = Counter("gateway_cache_miss_answers", "Requests for which the store behind the cache was asked.", ["store", "kind"])
CACHE_COALESCED = Counter("gateway_cache_coalesced_answers", "Requests that got the answer of an equal one under way.", ["store", "kind"])
CACHE_STALE = Counter(
    "gateway_cache_stale_answers", "Requests answered with something old, because the store behind failed.", ["store", "kind"]
)
CACHE_EVICTED = Counter("gateway_cache_evicted_answers", "Answers that made room for others.", ["tier"])
CACHE_LOST = Counter(
    "gateway_cache_lost_answers",
    "Answers that the disk tier lost or did not take: damaged, busy, or the disk failed.",
    ["loss"],
)
CACHE_MEMORY_BYTES = Gauge("gateway_cache_memory_bytes", "Bytes of answers kept in memory.", ["kind"], multiprocess_mode="livesum")
CACHE_DISK_BYTES = Gauge(
    "gateway_cache_disk_bytes", "Bytes of answers kept on disk, for all workers together.", ["kind"], multiprocess_mode="livemostrecent"
)

# Spools: `store` is the name of the store, `destination` that of one it delivers to, or "undecided"; both from the settings.
SPOOL_DEPTH = Gauge(
    "gateway_spool_waiting_instances", "Instances that wait to be delivered.", ["store", "destination"], multiprocess_mode="livesum"
)
SPOOL_OLDEST_SECONDS = Gauge(
    "gateway_spool_oldest_seconds", "For how long the oldest of them has waited.", ["store", "destination"], multiprocess_mode="livemax"
)
SPOOL_DEAD = Gauge(
    "gateway_spool_dead_instances",
    "Instances that were set aside and wait for people.",
    ["store", "destination"],
    multiprocess_mode="livesum",
)
SPOOL_DELIVERED = Counter("gateway_spool_delivered_instances", "Instances that arrived.", ["store", "destination"])
SPOOL_FAILED = Counter(
    "gateway_spool_failed_instances", "Instances that did not arrive, each time that it was tried.", ["store", "destination"]
)

# Notifications: `receiver` is its kind; who it is, callers of the API may choose. `loss` is why one was given up.
NOTIFICATIONS_SENT = Counter("gateway_notifications_sent_messages", "Notifications that were taken.", ["receiver"])
NOTIFICATIONS_FAILED = Counter(
    "gateway_notifications_failed_messages", "Notifications that were not taken, each time that it was tried.", ["receiver"]
)
NOTIFICATIONS_DROPPED = Counter(
    "gateway_notifications_dropped_messages", "Notifications that were given up: too old, or set aside while there was no room.", ["loss"]
)
NOTIFICATIONS_WAITING = Gauge(
    "gateway_notifications_waiting_messages", "Notifications that wait to be sent.", ["receiver"], multiprocess_mode="livesum"
)
NOTIFICATIONS_OLDEST_SECONDS = Gauge(
    "gateway_notifications_oldest_seconds", "For how long the oldest of them has waited.", ["receiver"], multiprocess_mode="livemax"
)
NOTIFICATIONS_SET_ASIDE = Gauge(
    "gateway_notifications_set_aside_messages",
    "Notifications that were refused too often and wait for people.",
    ["receiver"],
    multiprocess_mode="livesum",
)

# Pixels: `work` is what is done, `end` what became of it.
PixelWork = Literal["render", "transcode", "survey", "other"]
PixelEnd = Literal["ready", "made", "undoable", "failed", "memory", "late", "crashed", "left", "busy"]

PIXEL_WORKS: tuple[PixelWork, ...] = get_args(PixelWork)
PIXEL_ENDS: tuple[PixelEnd, ...] = get_args(PixelEnd)

PIXEL_JOBS = Counter("gateway_pixel_jobs", "Jobs for pixel processes, by what became of them.", ["work", "end"])
PIXEL_JOB_SECONDS = Histogram("gateway_pixel_job_seconds", "One job in a pixel process, without its time in line.", ["work"], buckets=_FAST)
PIXEL_WAITING = Gauge("gateway_pixel_waiting_jobs", "Jobs that wait for a pixel process.", multiprocess_mode="livesum")
PIXEL_PROCESSES = Gauge("gateway_pixel_processes", "Pixel processes that run.", multiprocess_mode="livesum")


@cache
def pixel_jobs(work: PixelWork, end: PixelEnd) -> Counter:
    """The jobs of one kind with one end."""
    return PIXEL_JOBS.labels(work, end)


@cache
def pixel_seconds(work: PixelWork) -> Histogram:
    """The seconds of jobs of one kind."""
    return PIXEL_JOB_SECONDS.labels(work)
