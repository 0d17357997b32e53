"""``bench memory``: what a knowledge base takes in memory and on disk, per backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli.command import command
from bench.cli.measuring import CASE, flags

if TYPE_CHECKING:
    from bench.measure.memory import Done

EXAMPLES = """
\b
Examples:
  bench memory --bases wnli,sst2 --ann exact,hnswlib,faiss
  bench memory --bases glue --ann exact,hnswlib --target agreement:0.995 --out results/runs/memory
  bench memory --run results/runs/glue-minilm --task mrpc --ann hnswlib
  bench memory --bases 20000 --student bert-6l-384 --dry-run

Every cell is read in a fresh process that loads the saved index. Linux only. The same command
resumes what was killed; the exit code is 1 if a cell has no figures.
"""


@click.command(epilog=EXAMPLES)
@flags(*CASE)
@click.option("--dry-run", is_flag=True, help="print the cells and stop")
def memory(dry_run: bool, **given: Any) -> int:
    """Memory of a knowledge base: formula, disk, RSS growth, mapped pages, peak.

    The student only gives the width of the keys: nothing is forwarded.
    """
    from bench.cli import measuring
    from bench.cli.measured import show_and_write
    from bench.executors.quiet import quieten
    from bench.measure.memory import measure
    from bench.measure.memory_plan import plan, require_linux
    from bench.progress import lines as progress
    from bench.records.measurements import Measurements
    from reaugkd.artifacts.store import ArtifactStore

    require_linux()
    wanted = measuring.options(given)
    quieten()
    reporter = progress.reporter(measuring.error_console())
    store = ArtifactStore(measuring.cache(given), reporter)
    folder = measuring.folder(given, wanted, "memory")
    if dry_run:
        cells = plan(wanted, store, reporter)
        for cell in cells:
            click.echo(cell.label)
        click.echo(f"{len(cells)} cells, for {folder}")
        return 0
    measurements = Measurements(folder)
    for problem in measurements.records()[1]:
        reporter.note(f"{problem.path} is passed over: {problem.reason}")
    try:
        with measuring.terminable():
            records = measure(
                wanted,
                measurements,
                store,
                command=command(),
                overwrite=given["overwrite"],
                reporter=reporter,
                done=lambda done: reporter.note(_line(done)),
            )
    finally:
        reporter.finish()  # Ctrl-C in a stage: a bar gives the cursor back
    show_and_write(measurements, ("memory",), name="memory")
    return 0 if records and all(record.status == "ok" for record in records) else 1


def _line(done: Done) -> str:
    """A cell that has ended, in one line."""
    record = done.record
    head = f"[{done.number}/{done.total}] {record.base} ({record.size:,}) {record.backend}"
    if record.result is None:
        return f"{head} k {record.k}: {record.status}: {record.reason}"
    found = record.result
    what = (
        f"RSS {found.rss_growth / 1e6:,.1f} MB, mapped {found.mapped / 1e6:,.1f}, "
        f"disk {found.serialized / 1e6:,.1f}, peak {found.peak_growth / 1e6:,.1f}"
    )
    return f"{head} k {record.k}: {what}" + (" (there already)" if done.reused else "")
