"""Memory at SST-2's size, in fresh processes: the whole of retrieval, and copies per backend."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROWS, WIDTH, CLASSES = 67_349, 384, 2
KEYS = ROWS * WIDTH * 4
GIB = 1 << 30

SCRIPT = """
    import json, sys
    from pathlib import Path
    import numpy as np
    from reaugkd.retrieval import ann
    from reaugkd.retrieval.knowledge_base import KnowledgeBase

    def status(name):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024

    folder, spec = Path(sys.argv[1]), sys.argv[2]
    base = KnowledgeBase.load(folder / "base")
    index = ann.make(spec)
    before = status("RssAnon")
    if sys.argv[3] == "build":
        index.build(base.keys)
        built = status("RssAnon")
        if not index.instant:
            index.save(folder / spec.replace(":", "_"))
    else:
        index = ann.load(folder / spec.replace(":", "_"))
        built = status("RssAnon")
    index.search(np.asarray(base.keys[:64]), 32)
    print(json.dumps({"grown": built - before, "nbytes": index.nbytes, "peak": status("VmHWM")}))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base of SST-2's size with the structure of one: two clusters, low rank."""
    import numpy as np

    from reaugkd.retrieval.knowledge_base import KnowledgeBase

    folder = tmp_path_factory.mktemp("memory")
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, ROWS)
    spread = generator.normal(size=(ROWS, 24)) @ generator.normal(size=(24, WIDTH))
    keys = generator.normal(size=(CLASSES, WIDTH))[labels] * 4 + spread
    values = np.full((ROWS, CLASSES), 0.1, np.float32)
    values[np.arange(ROWS), labels] = 0.9
    KnowledgeBase.build(keys.astype(np.float32), values, np.arange(ROWS)).save(folder / "base")
    return folder


def child(folder: Path, spec: str, what: str) -> dict[str, int]:
    script = folder / "child.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(script), str(folder), spec, what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.benchmark(group="memory")
@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss", "annoy"])
def test_keys_are_held_at_most_once_by_a_backend(base: Path, spec: str, benchmark: Any) -> None:
    """Anonymous memory after the build: at most one copy of the keys beside the graph."""
    built = benchmark.pedantic(child, (base, spec, "build"), rounds=1, iterations=1)
    graph = max(0, built["nbytes"] - KEYS)
    benchmark.extra_info |= built | {"keys": KEYS}
    print(spec, built)
    assert built["grown"] <= 1.1 * (KEYS + graph) + (64 << 20)
    assert built["peak"] < 3 * GIB
    if spec == "exact":
        assert built["grown"] < 0.1 * KEYS + (64 << 20)  # it reads the mapped file
