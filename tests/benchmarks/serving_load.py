"""A service under load from a second process, beside the library in this one.

The service can hardly answer eight clients sooner than the library a batch of eight texts, so that
is what p50 is divided by; and its share of one text is what the time of an answer is divided by.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from bench.records import provenance
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from tests import banking
from tests.bench import runs
from tests.bench.serve.servers import served
from tests.benchmarks import minilm

CLIENTS, THREADS, BATCHES = 8, 1, 60
COMMAND = (
    'REAUGKD_SERVING_OUT=results/serving pytest -s -m "" tests/benchmarks/test_serving_load.py'
)
CASES = {
    "student alone": {"beta": 0.0},
    "full, exact": {},
    "full, hnswlib": {"backend": "hnswlib"},
    "condensed, exact": {"entries": minilm.CONDENSED},
}


@dataclass(frozen=True)
class Row:
    """One case; times in milliseconds, of the library those of a batch of as many texts."""

    case: str
    entries: int
    clients: int
    threads: int
    seconds: float
    answers: int
    errors: dict[str, int]
    p50: float
    p99: float
    per_second: float
    library_batch: float

    @property
    def shown(self) -> dict[str, object]:
        batch = self.library_batch
        return {
            "case": self.case,
            "entries": self.entries,
            "answers": self.answers,
            "errors": sum(self.errors.values()),
            "p50 ms": self.p50,
            "p99 ms": self.p99,
            "answers/s": self.per_second,
            f"library, ms for {self.clients}": batch,
            "p50 / library": self.p50 / batch,
            "time per answer / library": 1000 / self.per_second / (batch / self.clients),
        }


def measure(case: str, folder: Path, seconds: float) -> tuple[Row, list[str]]:
    """A row, and the lines that the service logged of other things than requests.

    ``folder`` is where its classifier is saved.
    """
    model = minilm.classifier(**CASES[case])  # type: ignore[arg-type]
    model.save_pretrained(folder)
    laps = library(model)
    events: list[str] = []
    with served(folder, "--threads", THREADS) as (server, url):
        log = server.stderr
        assert log is not None
        # It is read all the while: a full pipe would stop the service.
        reader = threading.Thread(target=lambda: events.extend(line for line in log if told(line)))
        reader.start()
        words = ("-m", "tests.benchmarks.clients", f"{url}predict", CLIENTS, seconds)
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=runs.ROOT,
            env=runs.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 300,
        )
        server.terminate()
        assert server.wait(timeout=60) == 0
        reader.join(60)
    laps += library(model)
    seen = json.loads(done.stdout)
    waited = 1000 * np.array(seen["laps"])
    row = Row(
        case=case,
        entries=len(model.knowledge_base),
        clients=CLIENTS,
        threads=THREADS,
        seconds=seen["seconds"],
        answers=len(waited),
        errors=seen["errors"],
        p50=float(np.median(waited)),
        p99=float(np.quantile(waited, 0.99)),
        per_second=len(waited) / seen["seconds"],
        library_batch=1000 * float(np.median(laps)),
    )
    return row, events


def told(line: str) -> bool:
    """Whether a line of the log tells of something else than a request."""
    return '"event": "request"' not in line


def library(model: RetrievalAugmentedClassifier) -> list[float]:
    """Seconds of batches of as many texts as there are clients."""
    texts = [text for text, _ in banking.rows()]
    batches = [texts[at : at + CLIENTS] for at in range(0, len(texts), CLIENTS)]
    threads, laps = torch.get_num_threads(), []
    torch.set_num_threads(THREADS)
    try:
        for number in range(BATCHES + 5):
            began = time.perf_counter()
            model.predict(batches[number % len(batches)])
            laps.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return laps[5:]


def write(folder: Path, rows: list[Row], load: tuple[float, float, float]) -> None:
    """``serving.json`` and ``serving.md``, with where and how they were measured.

    ``load`` are the load averages of the machine before it began.
    """
    folder.mkdir(parents=True, exist_ok=True)
    origin = provenance.collect(COMMAND, load, "cpu").model_dump(mode="json")
    kept = {"provenance": origin, "rows": [asdict(row) for row in rows]}
    (folder / "serving.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    table = tabulate([row.shown for row in rows], headers="keys", tablefmt="github", floatfmt=".4g")
    about = (
        f"{CLIENTS} clients for {rows[0].seconds:.0f} s each, {THREADS} thread, one text a "
        f"request; {origin['cpu']}, {origin['cores']} cores, load {load[0]:.1f} "
        f"before it began, commit {origin['commit']}. Times of the library are of a batch of as "
        "many texts."
    )
    text = f"# Serving\n\n    {COMMAND}\n\n{about}\n\n{table}\n"
    (folder / "serving.md").write_text(text, encoding="utf-8")
