"""``bench export``: a finished cell as a folder that ``reaugkd`` loads and serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.command import command
from bench.cli.options import UserPath, dims


@click.command()
@click.argument("run", required=False)
@click.option("--to", "folder", required=True, type=UserPath(), help="New folder.")
@click.option("--task", help="e.g. mrpc; needed if the run has several")
@click.option("--method", help="e.g. reaugkd")
@click.option("--seed", type=int, help="e.g. 0")
@click.option("--ann", "backend", help="e.g. hnswlib")
@click.option("--keys", help="projected, teacher or student")
@click.option("--values", help="soft, hard or cross-fitted")
@click.option("--share", type=float, help="e.g. 0.1")
@click.option("--condense", help="e.g. full or kmeans:256")
@click.option("--pca", callback=dims, help="none, or e.g. 64")
@click.option("--value-bits", type=int, help="32 or 8")
@click.option("--count-weight/--no-count-weight", default=None, help="whether counts weigh")
@click.option("--skip", "skip_rule", help="e.g. never or risk:1%")
@click.option("--texts", is_flag=True, help="Save the texts of the entries too, for explanations.")
@click.option("--onnx", is_flag=True, help="Also write the student as an ONNX file.")
@click.option("--int8", is_flag=True, help="With --onnx: also one in int8.")
@click.option("--license", "license_id", help="For the model card, e.g. apache-2.0.")
@click.option("--cache", type=UserPath(), envvar="REAUGKD_CACHE", help="As for run.")
def export(
    run: str | None,
    folder: Path,
    texts: bool,
    onnx: bool,
    int8: bool,
    license_id: str | None,
    cache: Path | None,
    **wanted: Any,
) -> None:
    """Save student, knowledge base, index and the chosen k, beta and tau of one cell of RUN.

    \b
    Examples:
      bench export --task tone --ann hnswlib --to tone-classifier
      bench export --task tone --ann exact --to tone-onnx --onnx --int8
      python -c "import reaugkd; c = reaugkd.RetrievalAugmentedClassifier.from_pretrained(
          'tone-classifier'); print(c.predict(['the food was good']))"
    """  # noqa: D301  (click's paragraph mark)
    from reaugkd.models import runtime
    from reaugkd.retrieval import ann, condense, skip
    from reaugkd.tasks import spelled

    if int8 and not onnx:
        raise click.UsageError("--int8 goes with --onnx")
    runtimes = runtime.RUNTIMES[1 : 1 + onnx + int8]
    if runtimes:
        runtime.require_exporter()
    readers = {"backend": ann.canonical, "condense": condense.parse, "skip_rule": skip.parse}
    for name, read in readers.items():
        if wanted[name]:
            wanted[name] = str(read(wanted[name]))

    from bench.records.store import Store
    from bench.report.files import find

    store = Store(find(run))
    planned = store.read_run()  # a run that is not there is told before torch is imported
    if wanted["task"]:
        wanted["task"] = spelled(wanted["task"], planned.get("tasks", {}))

    from bench import export as exporter
    from bench.cli.console import console
    from bench.executors.quiet import quieten
    from bench.pipeline.workbench import Workbench
    from bench.progress import live as progress
    from reaugkd.artifacts.cache import default_cache
    from reaugkd.artifacts.store import ArtifactStore

    quieten()
    reporter = progress.reporter(console())
    artifacts = ArtifactStore(cache or default_cache(), reporter)
    workbench = Workbench(artifacts, reporter, command())
    record, exported = exporter.export(
        store, workbench, wanted, folder, texts=texts, runtimes=runtimes, license=license_id
    )
    if record.retrieval is not None:
        chosen = record.retrieval.chosen
        setting = f"k {chosen.k}, beta {chosen.beta}, tau {chosen.tau}"
        click.echo(f"wrote {folder}: {record.title} {record.method} seed {record.seed}, {setting}")
    for each in exported:
        agreement = each.agreement
        scores = ", ".join(
            f"{name} {b:.4f} (torch {a:.4f})" for name, (a, b) in each.scores.items()
        )
        click.echo(
            f"{each.runtime}: on {agreement.rows:,} rows of {each.split} the same answer for "
            f"{agreement.same:.1%}, off by at most {agreement.difference:.2g}; {scores}"
        )
