"""``bench latency``: what retrieval adds to the time of a student's forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli.measuring import CASE, TIMED, flags

if TYPE_CHECKING:
    from bench.measure.options import Options

EXAMPLES = """
\b
Examples:
  bench latency --bases mrpc --ann exact,hnswlib,auto
  bench latency --bases glue --ann exact,hnswlib,faiss,usearch,svs --batch 1,32 --out DIR
  bench latency --bases sst2 --precision fp32,bf16 --lengths 16 --lengths 32 --max-overhead 1%
  bench latency --bases mrpc --lengths real --data-dir GLUE --student PATH
  bench latency --bases glue --condense full,kmeans:256 --pca none,64 --ann exact
  bench latency --bases cola --condense full,kmeans:256 --ann exact --backend torch,onnx,onnx-int8
  bench latency --run results/runs/NAME --task mrpc --ann exact,hnswlib
  bench latency --classifier FOLDER --task mrpc --data-dir GLUE --skip lossless

Each cell is measured alone, in fresh processes; nothing else should run on the machine. The same
command resumes what was killed; another --max-overhead measures only what it leaves undecided.
"""


@click.command(epilog=EXAMPLES)
@flags(*CASE, *TIMED)
@click.option("--dry-run", is_flag=True, help="print the plan and stop")
@click.option("--explain", is_flag=True, help="print what auto chooses and why, and stop")
def latency(dry_run: bool, explain: bool, **values: Any) -> int:
    """Time everything retrieval adds to a forward, and say whether it stays below a limit.

    Exit code 0 if every cell was measured, whatever its verdict (`bench gate` judges), else 1.
    """
    from bench.cli import measuring

    asked = measuring.options(values)
    if not explain:
        return measuring.run("latency", values, asked, dry_run=dry_run)
    _explain(asked, values)
    return 0


def _explain(asked: Options, values: dict[str, Any]) -> None:
    """Print what ``auto`` stands for in every case, and why."""
    from itertools import product

    from bench.cli.measuring import cache, session
    from bench.measure.plan import subjects
    from reaugkd.artifacts.store import ArtifactStore
    from reaugkd.retrieval.ann.auto import backend as auto

    with session() as reporter:
        for subject, threads, batch in product(
            subjects(asked, ArtifactStore(cache(values), reporter), reporter),
            asked.threads,
            asked.batch,
        ):
            size, dim, name = subject.source.size, subject.source.dim, subject.source.name
            places: dict[str, Any] = {"cache": cache(values), "reporter": reporter}
            choice = auto.explain(size, dim, batch=batch, threads=threads, **places)
            click.echo(f"{name}, batch {batch}, threads {threads}")
            click.echo("\n".join(choice.lines()))
