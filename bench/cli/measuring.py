"""What `bench latency`, `bench memory` and `bench gate` share: flags, and the way to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.cli.command import command
from bench.cli.options import UserPath, names, numbers, specs

if TYPE_CHECKING:
    from bench.measure.meter import Done
    from bench.measure.options import Options
    from bench.records.measurements import Kind
    from reaugkd.reporter import Reporter

Command = TypeVar("Command", bound=Callable[..., Any])

_PATH = UserPath()


def _list(flag: str, read: Callable[..., Any], text: str) -> Any:
    """A flag that takes a,b and may be given several times."""
    return click.option(flag, multiple=True, callback=read, help=text)


MAX_OVERHEAD = click.option(
    "--max-overhead",
    help="the limit, e.g. 3% or 0.03  [default: 3%; of exact search over a condensed base 0.5% for "
    "one fp32 sentence, 1% for one in bf16 and for fp32 batches]",
)

CASE = (
    _list(
        "--bases",
        names,
        "a,b of GLUE tasks or numbers of entries, or glue  [default: wnli,mrpc,cola]",
    ),
    click.option("--run", type=_PATH, help="a finished run's knowledge base and student instead"),
    click.option("--classifier", type=_PATH, help="an exported classifier instead"),
    click.option("--task", help="of the run or the classifier"),
    click.option("--method", help="of the run"),
    click.option("--seed", type=int, help="of the run"),
    click.option("--data-dir", type=_PATH, help="GLUE, official layout, for real sentences"),
    _list(
        "--condense",
        names,
        "a,b of condensers of generated bases, e.g. full,kmeans:256  [default: full]",
    ),
    _list("--pca", names, "a,b of widths of the keys by PCA, or none  [default: none]"),
    _list("--value-bits", numbers(int), "32,8: bits of each number of a value  [default: 32]"),
    click.option(
        "--skip",
        help="never or lossless: leave out the search where no neighbour can change the class; of "
        "a run or classifier  [default: as it was stored]",
    ),
    _list("--ann", specs, "a,b of backends or auto  [default: exact,hnswlib]"),
    _list("--k", numbers(int), "neighbours  [default: 10, or the run's]"),
    click.option("--tau", type=float, help="retrieval temperature  [default: 0.1, or the run's]"),
    click.option("--beta", type=float, help="weight of it, above 0  [default: 0.5, or the run's]"),
    click.option(
        "--student",
        help="bert-6l-768 (any such shape, random weights) or a checkpoint  [default: bert-6l-768]",
    ),
    click.option(
        "--target",
        default="recall:0.99",
        show_default=True,
        help="what search efforts are tuned to, or agreement:0.995",
    ),
    _list("--threads", numbers(int), "cores  [default: all]"),
    click.option("--build-threads", type=int, help="of index builds  [default: all cores]"),
    click.option("--out", type=_PATH, help="the folder of the measurements"),
    click.option(
        "--cache",
        type=_PATH,
        envvar="REAUGKD_CACHE",
        help="bases and indexes  [default: $REAUGKD_CACHE, or reaugkd in $XDG_CACHE_HOME or "
        "~/.cache]",
    ),
    click.option(
        "--overwrite",
        type=click.Choice(["never", "missing", "always"]),
        default="missing",
        show_default=True,
        help="what to do about cells that have a record; missing: redo those not ok",
    ),
)
"""Flags of a knowledge base, its backends and its student."""

TIMED = (
    _list("--batch", numbers(int), "inputs per forward  [default: 1]"),
    _list("--precision", names, "a,b of fp32, bf16, int8  [default: fp32]"),
    _list("--backend", names, "a,b of torch, onnx, onnx-int8: the student's  [default: torch]"),
    _list(
        "--lengths",
        names,
        "recorded (of the base's task), recorded:mrpc, real, or a number of tokens  [default: "
        "recorded, or real for a run or classifier]",
    ),
    MAX_OVERHEAD,
    click.option(
        "--time-budget",
        default=90.0,
        show_default=True,
        help="seconds that an undecided cell is measured for",
    ),
    click.option("--rounds", default=2, show_default=True, help="passes over a process's inputs"),
)
"""Flags of timing."""


def flags(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """All ``options``, shown by --help in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def options(values: Mapping[str, Any]) -> Options:
    """The options that flags of :data:`CASE` and perhaps :data:`TIMED` make, all checked.

    Raises:
        UserError: for the first mistake that shows without work.
    """
    from itertools import product

    from bench.measure import environment
    from bench.measure.options import Options, share
    from reaugkd import processor

    typed = {name: values.get(name) for name in Options.model_fields}
    chosen: dict[str, Any] = {"threads": (processor.cores(),), "build_threads": processor.cores()}
    chosen |= {name: value for name, value in typed.items() if value not in (None, (), [])}
    if not chosen.keys() & {"bases", "run", "classifier"}:
        chosen["bases"] = ("wnli", "mrpc", "cola")
    if "batch" in values:
        chosen["budget"] = values["time_budget"]
        if values["max_overhead"] is not None:
            chosen["limit"] = share(values["max_overhead"])
    asked = Options.of(**chosen)
    for threads, precision in product(asked.threads, asked.precision):
        environment.require(threads, precision)
    return asked


def cache(values: Mapping[str, Any]) -> Path:
    """Folder of the cache."""
    from reaugkd.artifacts.cache import default_cache

    return values["cache"] or default_cache()


def folder(values: Mapping[str, Any], asked: Options, kind: str) -> Path:
    """Folder of the measurements: ``--out``, or one that the same axes always get.

    Limit and budget do not name it: another limit may be decided by what was measured already.
    """
    from bench.report.files import RUNS
    from reaugkd.artifacts import fingerprint

    if values["out"] is not None:
        return Path(values["out"])
    axes = asked.model_dump(mode="json", exclude={"limit", "budget"})
    return RUNS / f"{kind}-{fingerprint.of_json(axes)[:8]}"


def meter(kind: Kind, values: Mapping[str, Any], asked: Options, reporter: Reporter) -> Any:
    """What measures the cells of ``asked``, a :class:`bench.measure.meter.Meter`.

    Args:
        kind: of the cells; begins the default name of the folder.
        values: the flags.
        asked: what :func:`options` made of them.
        reporter: told of builds, and of files that are passed over.
    """
    from bench.measure.latency import LatencyMeter
    from bench.measure.memory import MemoryMeter
    from bench.records.measurements import Measurements
    from reaugkd.artifacts.store import ArtifactStore

    measurements = Measurements(folder(values, asked, kind))
    for problem in measurements.records()[1]:
        reporter.note(f"{problem.path} is passed over: {problem.reason}")
    return (LatencyMeter if kind == "latency" else MemoryMeter)(
        asked,
        measurements,
        ArtifactStore(cache(values), reporter),
        command(),
        overwrite=values["overwrite"],
        reporter=reporter,
    )


def run(kind: Kind, values: Mapping[str, Any], asked: Options, *, dry_run: bool) -> int:
    """Measure cells with progress on stderr, then show their folder and write its files.

    Args:
        kind: of the cells.
        values: the flags.
        asked: what :func:`options` made of them.
        dry_run: show the cells, and how many of them are left.

    Returns:
        Exit code 0 if every cell was measured, else 1.
    """
    from bench.cli.measured import show_and_write

    with session() as reporter:
        measuring = meter(kind, values, asked, reporter)
        if dry_run:
            _show_plan(measuring)
            return 0
        records = measuring.run(lambda done: reporter.note(line(done)))
    show_and_write(measuring.measurements, kind)
    return 0 if records and all(record.status == "ok" for record in records) else 1


def _show_plan(meter: Any) -> None:
    plans = meter.plan()
    kept = meter.finished(plans, keep=False)
    for plan in plans:
        axes = f" threads {plan.cell.threads} {plan.cell.lengths}" if plan.inputs else ""
        state = "there already" if plan.key in kept else "to measure"
        click.echo(f"{plan.label}{axes}: {state}")
    left = len(plans) - len(kept)
    most = f", at most about {left * meter.options.budget / 60:.0f} min of measuring"
    click.echo(
        f"{meter.measurements.folder}: {len(plans)} cells, {len(kept)} there already, "
        f"{left} left" + most * (meter.KIND == "latency")
    )


@contextmanager
def session() -> Iterator[Reporter]:
    """Progress on stderr, so that stdout holds results alone.

    SIGTERM, with which CI ends a job, is Ctrl-C: the measuring process must end as well.
    """
    from rich.console import Console

    from bench.executors.quiet import quieten, terminable
    from bench.progress import live

    quieten()
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    reporter = live.reporter(console)
    with terminable():
        try:
            yield reporter
        finally:
            reporter.finish()  # Ctrl-C in a stage: a bar gives the cursor back


def line(done: Done[Any]) -> str:
    """A cell that has ended, in one line."""
    from bench.progress.lines import duration

    record, result = done.record, done.record.result
    if record.kind == "latency":
        label, show = record.cell.label, _times
    else:
        label, show = record.label, _bytes
    figures = f"{record.status}: {record.reason}" if result is None else show(record)
    tail = ["there already"] * done.reused
    tail += [f"about {duration(done.left)} left"] if done.left else []
    return f"[{done.number}/{done.total}] {label}: {figures}" + f" ({', '.join(tail)})" * bool(tail)


def _times(record: Any) -> str:
    ratio, noise = record.result.ratio, record.result.noise
    return (
        f"{record.result.added.p50:.3f} of {record.result.forward.p50:.2f} ms, "
        f"{100 * ratio.estimate:.2f} % [{100 * ratio.low:.2f}, {100 * ratio.high:.2f}], noise "
        f"[{100 * noise.low:.2f}, {100 * noise.high:.2f}] {record.verdict}"
    )


def _bytes(record: Any) -> str:
    result = record.result
    return (
        f"RSS {result.rss_growth / 1e6:,.1f} MB, mapped {result.mapped / 1e6:,.1f}, "
        f"disk {result.serialized / 1e6:,.1f}, peak {result.peak_growth / 1e6:,.1f}"
    )
