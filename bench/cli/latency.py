"""``bench latency``: what retrieval adds to the time of a student's forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli.measuring import CASE, TIMED, flags

if TYPE_CHECKING:
    from rich.console import Console

    from bench.measure.options import Options

EXAMPLES = """
\b
Examples:
  bench latency --bases mrpc --ann exact,hnswlib,auto
  bench latency --bases glue --ann exact,hnswlib,faiss,usearch,svs --batch 1,32 --out DIR
  bench latency --bases sst2 --precision fp32,bf16 --lengths 16 --lengths 32 --max-overhead 1%
  bench latency --bases mrpc --lengths real --data-dir GLUE --student PATH
  bench latency --run results/runs/NAME --task mrpc --ann exact,hnswlib
  bench latency --classifier FOLDER --task mrpc --data-dir GLUE

Each cell is measured alone, in fresh processes; nothing else should run on the machine. The same
command resumes what was killed; another --max-overhead measures only what it leaves undecided.
"""


@click.command(epilog=EXAMPLES)
@flags(*CASE, *TIMED)
@click.option("--dry-run", is_flag=True, help="print the plan and stop")
@click.option("--explain", is_flag=True, help="print what auto chooses and why, and stop")
def latency(dry_run: bool, explain: bool, **given: Any) -> int:
    """Time everything retrieval adds to a forward, and say whether it stays below a limit.

    Exit code 0 if every cell was measured, whatever its verdict (`bench gate` judges), else 1.
    """
    from rich.console import Console

    from bench.cli import measuring

    made = measuring.options(given)
    console = Console(soft_wrap=True, markup=False, emoji=False)
    if explain:
        _explain(made, given, console)
        return 0
    if dry_run:
        _plan(made, given, console)
        return 0
    from bench.cli.measured import show_and_write

    with measuring.terminable():
        measurements, records = measuring.run_latency(given, made, measuring.error_console())
    show_and_write(measurements, "latency")
    return 0 if records and all(record.status == "ok" for record in records) else 1


def _plan(made: Options, given: dict[str, Any], console: Console) -> None:
    from bench.cli.measuring import cache, folder
    from bench.measure.latency import finished
    from bench.measure.plan import plan
    from bench.measure.prepare import pending
    from bench.records.measurements import Measurements
    from reaugkd.artifacts.store import ArtifactStore

    store, measurements = ArtifactStore(cache(given)), Measurements(folder(given, made, "latency"))
    planned = plan(made, store)
    there = finished(planned, measurements, made, given["overwrite"], keep=False)
    builds = set()
    for one in planned:
        state = "there already" if one.key in there else "to measure"
        cell = one.cell
        console.print(f"{cell.label} threads {cell.threads} {cell.lengths}: {state}")
        if one.key not in there and (missing := pending(one, made.build_threads, store)):
            builds.add(missing)
    for spec, size in sorted(builds, key=lambda one: (one[1], one[0])):
        console.print(f"to build: {spec} over {size:,} vectors")
    left = len(planned) - len(there)
    console.print(
        f"{measurements.folder}: {len(planned)} cells, {len(there)} there already, {left} left, "
        f"at most about {left * made.budget / 60:.0f} min of measuring"
    )


def _explain(made: Options, given: dict[str, Any], console: Console) -> None:
    from bench.cli.measuring import cache
    from bench.measure.subjects import subjects
    from bench.progress import live as progress
    from reaugkd.artifacts.store import ArtifactStore
    from reaugkd.retrieval.ann.auto import backend as auto

    reporter = progress.reporter(console)
    for subject in subjects(made, ArtifactStore(cache(given), reporter), reporter):
        for threads in made.threads:
            for batch in made.batch:
                found = auto.explain(
                    subject.size,
                    subject.dim,
                    batch=batch,
                    threads=threads,
                    cache=cache(given),
                    reporter=reporter,
                )
                console.print(f"{subject.name}, batch {batch}, threads {threads}", style="bold")
                console.print("\n".join(found.lines()), highlight=False, markup=False)
