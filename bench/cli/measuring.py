"""What `bench latency`, `bench memory` and `bench gate` share: flags, and the way to start."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.cli.command import command
from bench.cli.run import _list, _numbers, _specs

if TYPE_CHECKING:
    from rich.console import Console

    from bench.measure.latency import Done
    from bench.measure.options import Options
    from bench.records.measurement import LatencyRecord
    from bench.records.measurements import Measurements

Command = TypeVar("Command", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)

CASE = (
    click.option(
        "--bases",
        multiple=True,
        callback=_list,
        help="a,b of GLUE tasks or numbers of entries, or glue  [default: wnli,mrpc,cola]",
    ),
    click.option("--run", type=_PATH, help="a finished run's knowledge base and student instead"),
    click.option("--classifier", type=_PATH, help="an exported classifier instead"),
    click.option("--task", help="of the run or the classifier"),
    click.option("--method", help="of the run"),
    click.option("--seed", type=int, help="of the run"),
    click.option("--data-dir", type=_PATH, help="GLUE, official layout, for real sentences"),
    click.option(
        "--ann",
        multiple=True,
        callback=_specs,
        help="a,b of backends or auto  [default: exact,hnswlib]",
    ),
    click.option("--k", multiple=True, callback=_numbers(int), help="neighbours  [default: 10]"),
    click.option("--tau", type=float, help="retrieval temperature  [default: 0.1]"),
    click.option("--beta", type=float, help="weight of retrieval, above 0  [default: 0.5]"),
    click.option("--student", help="bert-6l-768 (any such shape, random weights) or a checkpoint"),
    click.option(
        "--target",
        default="recall:0.99",
        show_default=True,
        help="what search efforts are tuned to, or agreement:0.995",
    ),
    click.option("--threads", multiple=True, callback=_numbers(int), help="cores  [default: all]"),
    click.option("--build-threads", type=int, help="of index builds  [default: all cores]"),
    click.option("--out", type=_PATH, help="the folder of the measurements"),
    click.option(
        "--cache",
        type=_PATH,
        envvar="REAUGKD_CACHE",
        help="bases and indexes  [default: $REAUGKD_CACHE or ~/.cache/reaugkd]",
    ),
    click.option(
        "--overwrite",
        type=click.Choice(["never", "missing", "always"]),
        default="missing",
        show_default=True,
        help="what to do about cells that have a record; missing: redo those that are not ok",
    ),
)
"""Flags of a knowledge base, its backends and its student."""

TIMED = (
    click.option(
        "--batch", multiple=True, callback=_numbers(int), help="inputs per forward  [default: 1]"
    ),
    click.option(
        "--precision",
        multiple=True,
        callback=_list,
        help="a,b of fp32, bf16, int8  [default: fp32]",
    ),
    click.option(
        "--lengths",
        multiple=True,
        callback=_list,
        help="recorded (of the base's task; default), recorded:mrpc, real, or a number of tokens",
    ),
    click.option(
        "--max-overhead", default="3%", show_default=True, help="the limit, e.g. 3% or 0.03"
    ),
    click.option(
        "--time-budget",
        type=float,
        default=90,
        show_default=True,
        help="seconds that an undecided cell is measured for",
    ),
    click.option(
        "--rounds", type=int, default=2, show_default=True, help="passes over a process's inputs"
    ),
)
"""Flags of timing."""


def flags(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """All ``options``, shown by --help in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def options(given: Mapping[str, Any]) -> Options:
    """The options that flags of :data:`CASE` and perhaps :data:`TIMED` make, all checked.

    Raises:
        UserError: for the first mistake that shows without work.
    """
    from bench.measure import environment, options

    chosen: dict[str, Any] = {
        "bases": options.base_names(given["bases"]),
        "threads": _distinct(given["threads"]) or (options.cores(),),
        "build_threads": options.cores()
        if given["build_threads"] is None
        else given["build_threads"],
        "k": _distinct(given["k"]),
        "target": given["target"],
    }
    for name in ("run", "classifier", "task", "method", "seed", "data_dir", "tau", "beta"):
        chosen[name] = given[name]
    if not (chosen["bases"] or chosen["run"] or chosen["classifier"]):
        chosen["bases"] = ("wnli", "mrpc", "cola")
    if given["ann"]:
        chosen["ann"] = _distinct(given["ann"])
    if given["student"]:
        chosen["student"] = given["student"]
    if "batch" in given:
        chosen["limit"] = options.share(given["max_overhead"])
        chosen["budget"], chosen["rounds"] = given["time_budget"], given["rounds"]
        chosen["lengths"] = _distinct(given["lengths"])
        chosen["batch"] = _distinct(given["batch"]) or (1,)
        chosen["precision"] = options.precisions(given["precision"]) or ("fp32",)
    made = options.Options(**chosen)
    options.require(made)
    for threads in made.threads:
        for precision in made.precision:
            environment.require(threads, precision)
    return made


def _distinct(values: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def cache(given: Mapping[str, Any]) -> Path:
    """Folder of the cache."""
    from reaugkd.artifacts.cache import default_cache

    return Path(given["cache"] or default_cache()).expanduser()


def folder(given: Mapping[str, Any], made: Options, kind: str) -> Path:
    """Folder of the measurements: ``--out``, or one that the same axes always get.

    Limit and budget do not name it: another limit may be decided by what was measured already.
    """
    from bench.report.files import RUNS
    from reaugkd.artifacts import fingerprint

    if given["out"] is not None:
        return Path(given["out"])
    axes = made.model_dump(mode="json", exclude={"limit", "budget"})
    return RUNS / f"{kind}-{fingerprint.of_json(axes)[:8]}"


def run_latency(
    given: Mapping[str, Any],
    made: Options,
    console: Console,
    *,
    kind: str = "latency",
    done: Callable[[Done], None] | None = None,
    delay_us: float = 0.0,
) -> tuple[Measurements, list[LatencyRecord]]:
    """Measure the latency cells of ``made`` with progress on ``console``.

    Args:
        given: the flags.
        made: what :func:`options` made of them.
        console: where progress goes.
        kind: begins the default name of the folder.
        done: told of every cell; by default it is a line of progress.
        delay_us: as in :func:`bench.measure.latency.measure`.
    """
    from bench.executors.quiet import quieten
    from bench.measure import latency
    from bench.progress import lines as progress
    from bench.records.measurements import Measurements
    from reaugkd.artifacts.store import ArtifactStore

    quieten()
    reporter = progress.reporter(console)
    measurements = Measurements(folder(given, made, kind))
    for problem in measurements.records()[1]:
        reporter.note(f"{problem.path} is passed over: {problem.reason}")
    try:
        records = latency.measure(
            made,
            measurements,
            ArtifactStore(cache(given), reporter),
            command=command(),
            overwrite=given["overwrite"],
            reporter=reporter,
            done=done or (lambda one: reporter.note(line(one))),
            delay_us=delay_us,
        )
    finally:
        reporter.finish()  # Ctrl-C in a stage: a bar gives the cursor back
    return measurements, records


def line(done: Done) -> str:
    """A cell that has ended, in one line."""
    from bench.measure.estimate import words

    record = done.record
    head = f"[{done.number}/{done.total}] {record.cell.label}"
    if record.result is None:
        what = f"{record.status}: {record.reason}"
    else:
        found, ratio = record.result, record.result.ratio
        what = (
            f"{found.added.p50:.3f} of {found.forward.p50:.2f} ms, {100 * ratio.estimate:.2f} % "
            f"[{100 * ratio.low:.2f}, {100 * ratio.high:.2f}], noise "
            f"[{100 * found.noise.low:.2f}, {100 * found.noise.high:.2f}] {record.verdict}"
        )
    tail = "there already" if done.reused else ""
    if done.left:
        tail = f"{tail}, " if tail else ""
        tail += f"about {words(done.left)} left"
    return f"{head}: {what}" + (f" ({tail})" if tail else "")


def error_console() -> Console:
    """Progress on stderr, so that stdout holds results alone."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM, with which CI ends a job, is Ctrl-C: the measuring process must end as well."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
