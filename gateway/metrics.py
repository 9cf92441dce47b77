"""Every Prometheus series of the gateway, once, with its unit in the name.

Labels come from closed sets that are written here, never from a request: no UID, name, path or address can become a
label value, so `/metrics` holds nothing of a patient and its size is bounded.

With several workers the server sets PROMETHEUS_MULTIPROC_DIR before this module is first imported; the series of all
workers then add up in whichever of them answers `/metrics`.
"""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

Transaction = Literal["store", "search", "retrieve", "metadata", "frames", "bulkdata", "delete", "capabilities", "health", "other"]
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
