"""``bench serve`` in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import runs

BENCH = "from bench.cli.main import main; main(prog_name='bench')"


@contextmanager
def served(folder: Path, *flags: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that answers, and its address; what it logs from then on is in its ``stderr``."""
    words = map(str, ("serve", folder, "--port", 0, *flags))
    started = subprocess.Popen(
        [sys.executable, "-c", BENCH, *words], cwd=runs.ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        assert started.stderr is not None
        first = json.loads(started.stderr.readline())
        assert (first["event"], first["model"]) == ("listening", folder.name)
        yield started, first["url"]
    finally:
        started.kill()
        started.communicate()
