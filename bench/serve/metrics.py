"""What Prometheus reads: requests, texts, batches, waiting, and the process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

__all__ = ["CONTENT_TYPE", "Meters"]

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Meters:
    """The metrics of one service, in a registry of its own."""

    def __init__(self, waiting: Callable[[], float], entries: int) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        names = ("path", "status")
        self._requests = Counter(
            "reaugkd_requests", "Requests that were answered.", names, registry=self._registry
        )
        self._seconds = Histogram(
            "reaugkd_request_seconds",
            "From the head of a request to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "reaugkd_batch_texts",
            "Texts of one pass through the student.",
            buckets=TEXTS,
            registry=self._registry,
        )
        Gauge(
            "reaugkd_waiting_texts", "Texts that wait for a batch.", registry=self._registry
        ).set_function(waiting)
        Gauge("reaugkd_entries", "Entries of the knowledge base.", registry=self._registry).set(
            entries
        )

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, texts: int) -> None:
        """Count a batch."""
        self._batches.observe(texts)

    def shown(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)
