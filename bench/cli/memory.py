"""``bench memory``: what a knowledge base takes in memory and on disk, per backend."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.measuring import CASE, flags

EXAMPLES = """
\b
Examples:
  bench memory --bases wnli,sst2 --ann exact,hnswlib,faiss
  bench memory --bases glue --ann exact,hnswlib --target agreement:0.995 --out results/runs/memory
  bench memory --bases sst2 --condense kmeans:256 --pca none,64 --ann exact,faiss:SQ8
  bench memory --run results/runs/glue-minilm --task mrpc --ann hnswlib
  bench memory --bases 20000 --student bert-6l-384 --dry-run

Every cell is read in a fresh process that loads the saved index. Linux only. The same command
resumes what was killed; the exit code is 1 if a cell has no figures.
"""


@click.command(epilog=EXAMPLES)
@flags(*CASE)
@click.option("--dry-run", is_flag=True, help="print the cells and stop")
def memory(dry_run: bool, **values: Any) -> int:
    """Memory of a knowledge base: formula, disk, RSS growth, mapped pages, peak.

    The student only gives the width of the keys: nothing is forwarded.
    """
    from bench.cli import measuring
    from bench.measure.plan import require_linux

    require_linux()
    return measuring.run("memory", values, measuring.options(values), dry_run=dry_run)
