"""What a build costs: time against hnswlib's own for the same parameters, and memory per backend.

10,000 x 384 by default; ``REAUGKD_BUILD_SIZE=392702x768`` for MNLI's size at BERT's width (an hour
or two, and 8 GiB of memory). ``REAUGKD_BUILD_THREADS`` sets the threads of a build, 1 by default.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.reaugkd.retrieval.cases import here

ROWS, WIDTH = map(int, os.environ.get("REAUGKD_BUILD_SIZE", "10000x384").lower().split("x"))
THREADS = int(os.environ.get("REAUGKD_BUILD_THREADS", "1"))
pytestmark = pytest.mark.slow

ROUNDS = 3 if ROWS <= 50_000 else 1
VECTORS = ROWS * WIDTH * 4
SLACK = 8 << 20
"""Stacks, buffers and what the allocator keeps."""

SPECS = (
    "hnswlib",
    "faiss",
    "faiss:SQ8",
    "faiss:SQfp16",
    "faiss:PQ",
    "annoy",
    "usearch",
    "usearch:f32",
    "usearch:i8",
    "svs",
    "svs:lvq4x8",
    "svs:f32",
    "voyager",
    "voyager:i8",
)

TIMES = """
    import json, sys, time
    import hnswlib, numpy as np
    from reaugkd.retrieval import ann

    rows, threads, rounds = np.load(sys.argv[1], mmap_mode="r"), int(sys.argv[2]), int(sys.argv[3])

    def ours():
        ann.make("hnswlib", build_threads=threads).build(rows)

    def own():
        index = hnswlib.Index(space="ip", dim=rows.shape[1])
        index.init_index(max_elements=len(rows), M=16, ef_construction=200, random_seed=0)
        index.add_items(rows, num_threads=threads)

    seconds = {"ours": [], "own": []}
    rows.max()  # read the file before the clock starts
    for number in range(rounds):
        pair = [("ours", ours), ("own", own)]
        for name, build in pair if number % 2 else reversed(pair):
            began = time.perf_counter()
            build()
            seconds[name].append(time.perf_counter() - began)
    print(json.dumps(seconds))
"""

MEMORY = """
    import json, sys, time
    import numpy as np
    from reaugkd.retrieval import ann

    rows, threads, spec = np.load(sys.argv[1], mmap_mode="r"), int(sys.argv[2]), sys.argv[3]
    index = ann.make(spec, build_threads=threads)
    ann.make(spec).build(rows[:1100])  # what the library sets up once is not the build's
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    index.build(rows)
    print(json.dumps({"seconds": time.perf_counter() - began, "nbytes": index.nbytes}), flush=True)
"""


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of unit vectors with the structure of a knowledge base: clusters, low rank."""
    import numpy as np

    from reaugkd.retrieval.normalise import unit_rows

    random = np.random.default_rng(0)
    centres, spread = random.standard_normal((3, WIDTH)), random.standard_normal((24, WIDTH))
    path = tmp_path_factory.mktemp("build") / "vectors.npy"
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (ROWS, WIDTH))
    for start in range(0, ROWS, 8192):
        part = rows[start : start + 8192]
        near = random.standard_normal((len(part), 24)) @ spread
        rough = 0.1 * random.standard_normal(part.shape)
        part[:] = unit_rows(4 * centres[random.integers(0, 3, len(part))] + near + rough)
    rows.flush()
    return path


def command(folder: Path, script: str, *arguments: object) -> list[str]:
    path = folder / "child.py"
    path.write_text(textwrap.dedent(script))
    return [sys.executable, str(path), *map(str, arguments)]


def anonymous(pid: int) -> int:
    """Bytes of anonymous memory of a process, 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


@pytest.mark.timeout(0)
@pytest.mark.benchmark(group="build")
def test_building_costs_what_hnswlib_costs(vectors: Path, tmp_path: Path, benchmark: Any) -> None:
    """Alternating in one process, ratio of medians."""

    def measured() -> dict[str, list[float]]:
        child = command(tmp_path, TIMES, vectors, THREADS, ROUNDS)
        done = subprocess.run(child, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout))

    seconds = benchmark.pedantic(measured, rounds=1, iterations=1)
    ratio = median(seconds["ours"]) / median(seconds["own"])
    benchmark.extra_info |= {"rows": ROWS, "width": WIDTH, "threads": THREADS, "ratio": ratio}
    print(f"build of {ROWS:,} x {WIDTH}: {ratio:.3f} x hnswlib's own, {seconds}")
    assert ratio <= 1.2


@pytest.mark.timeout(0)
@pytest.mark.benchmark(group="build memory")
@pytest.mark.parametrize("spec", [*map(here, SPECS)])
def test_building_takes_the_vectors_at_most_once_beside_the_index(
    vectors: Path, tmp_path: Path, spec: str, benchmark: Any
) -> None:
    """Peak growth of anonymous memory; the vectors themselves are a mapped file."""

    def measured() -> dict[str, float]:
        child = command(tmp_path, MEMORY, vectors, THREADS, spec)
        with subprocess.Popen(
            child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            before = peak = anonymous(process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            while process.poll() is None:
                peak = max(peak, anonymous(process.pid))
                time.sleep(0.002 if ROWS <= 50_000 else 0.05)
            found = json.loads(process.stdout.read())
        return {**found, "grown": peak - before}

    found = benchmark.pedantic(measured, rounds=1, iterations=1)
    benchmark.extra_info |= {"rows": ROWS, "width": WIDTH, "vectors": VECTORS, **found}
    share = {name: round(found[name] / VECTORS, 2) for name in ("grown", "nbytes")}
    print(f"{spec}: {found['seconds']:.1f} s; of the vectors' {VECTORS:,} bytes: {share}")
    assert found["grown"] <= VECTORS + found["nbytes"] + SLACK
