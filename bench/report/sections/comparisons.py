"""Comparisons: who differs from whom, by how much, and whether it holds, paired on (seed, example).

A row per column of a run minus another, on one test split. ``kind``: ``baseline`` (minus the
baseline alone) or ``retrieval`` (minus the same method alone); ``baseline``: the method that is
subtracted, without retrieval; ``seeds``: those that both have, with outputs that can be used, and
``left_out`` the others; ``difference`` in shares; ``mcnemar``: exact p of each seed's pair of
students, none for a regression; ``adjusted``: p after Holm's correction over all of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

from pandas import DataFrame

from bench.report.charts import differences
from bench.report.examples import BySeed
from bench.report.examples import Column as At
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.paired import NOT_FINISHED, Paired, PairedOutcome
from bench.report.scores import OFF
from bench.report.section import METHOD, RETRIEVAL, TASK, Column, Section, View
from bench.report.sections.plain import grouped
from bench.report.verdict import SMALLEST, Verdict, chance, in_words, interval, of_test, signed
from bench.stats.difference import LEVEL, RESAMPLES, holm

Kind = Literal["baseline", "retrieval"]
KINDS: tuple[Kind, ...] = ("baseline", "retrieval")


def _rows(inputs: RunInputs) -> DataFrame:
    """Every column minus the baseline alone, and every index minus its method alone.

    Reads the outputs of one task after the other.
    """
    tasks = grouped((at[0], (at, by_seed)) for at, by_seed in inputs.examples.columns.items())
    outcomes = [row for columns in tasks.values() for row in _of_task(inputs, dict(columns))]
    of_kinds = ([row for row in outcomes if row["kind"] == kind] for kind in KINDS)
    return typed(row for of_kind in of_kinds for row in corrected(of_kind))


def _of_task(inputs: RunInputs, columns: dict[At, BySeed]) -> Iterator[dict[str, Any]]:
    answers = [answer for by_seed in columns.values() for answer in by_seed.values()]
    for split in answers[0].record.tests if answers else ():
        record = answers[0].record
        paired = Paired(inputs.examples, answers, split, record.select_on)
        for (task, method, retrieval), by_seed in columns.items():
            for kind, other in _against(method, retrieval, inputs.baseline):
                against = columns.get((task, other, OFF), {})
                line = {
                    "kind": kind,
                    "task": task,
                    "title": record.heading(split),
                    "split": split,
                    "metric": record.select_on,
                    "method": method,
                    "retrieval": retrieval,
                    "baseline": other,
                    **of_outcome(paired.compare(by_seed, against), by_seed, against),
                }
                if line["reason"] == NOT_FINISHED and by_seed:
                    line["reason"] = f"{NOT_FINISHED} of {other}"
                yield line


def _against(method: str, retrieval: str, baseline: str | None) -> Iterator[tuple[Kind, str]]:
    if baseline is not None and (method, retrieval) != (baseline, OFF):
        yield "baseline", baseline
    if retrieval != OFF:
        yield "retrieval", method


def of_outcome(outcome: PairedOutcome, ours: BySeed, theirs: BySeed) -> dict[str, Any]:
    """Seeds, difference and tests as fields of a row."""
    return {
        "seeds": outcome.seeds,
        "left_out": sorted((ours.keys() | theirs.keys()) - {*outcome.seeds}),
        "difference": outcome.difference,
        "mcnemar": outcome.mcnemar,
        "reason": outcome.reason,
    }


def corrected(lines: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines with Holm's correction over all of them, and what it leaves to say.

    Of a line that is ``same``, that is what there is to say.
    """
    adjusted = holm([d.p if (d := line["difference"]) else None for line in lines])
    for line, p in zip(lines, adjusted, strict=True):
        same, row = line.get("same"), {name: line[name] for name in line if name != "same"}
        outcome = Verdict.SAME if same else of_test(line["difference"], p)
        verdict = in_words(outcome, line["reason"])
        yield {**row, "adjusted": p, "outcome": str(outcome), "verdict": verdict}


def _views(frame: DataFrame, inputs: RunInputs) -> Iterator[View]:
    """Differences from the baseline and gains of retrieval; a note if no outputs were kept."""
    if not worth(frame):
        return
    if not inputs.examples.kept:
        note = (
            "No outputs lie beside the cells (cells/<key>.npz), and without them there is no test."
        )
        yield View("Comparisons", (TASK, METHOD), (note,), where=lambda row: False)
        return
    titles = {
        "baseline": (
            f"Differences from {inputs.baseline}",
            f"score minus that of {inputs.baseline} without retrieval",
        ),
        "retrieval": (
            "Gain of retrieval",
            "score with retrieval minus that of the same student alone",
        ),
    }
    for kind, (title, what) in titles.items():
        if shown := [line for line in rows(frame) if line.kind == kind]:
            columns = (TASK, METHOD, RETRIEVAL, VERDICT, *_figures(shown))
            sentences = tuple(notes(shown, f"{what}, paired by seed and example"))
            yield View(title, columns, sentences, where=partial(_is, kind))


def worth(frame: DataFrame) -> bool:
    """Whether there is a difference, or a reason why there is none, to be shown."""
    return bool(len(frame)) and bool((frame["reason"] != NOT_FINISHED).any())


def _is(kind: str, row: Row) -> bool:
    return bool(row.kind == kind)


def _figures(lines: Sequence[Row]) -> tuple[Column, ...]:
    """The columns of a difference; without a test those that take none."""
    tested = any(line.adjusted is not None for line in lines)
    hidden = set() if tested else {"95 % interval", "p", "p Holm"}
    hidden |= set() if any(line.mcnemar for line in lines) else {"McNemar p"}
    return tuple(column for column in FIGURES if column.title not in hidden)


def _detectable(row: Row) -> float | None:
    # No example told the two apart: how far others could is not known, and certainly not 0.
    return (row.difference.detectable or None) if row.difference else None


def _seeds(row: Row) -> str | None:
    if row.difference is None:
        return None
    paired, every = len(row.seeds), len(row.seeds) + len(row.left_out)
    return f"{paired}" if paired == every else f"{paired} of {every}"


def _mcnemar(chances: Sequence[float]) -> str:
    if len(chances) < 2:
        return chance(chances[0])
    return f"{sum(p < LEVEL for p in chances)} of {len(chances)}"


VERDICT = Column("verdict", "verdict", label=True)
FIGURES = (
    Column("difference", "difference.estimate", signed),
    Column("95 % interval", "difference", interval),
    Column("p", "difference.p", chance),
    Column("p Holm", lambda row: row.adjusted if row.difference else None, chance),
    Column("detectable", _detectable, lambda d: f"{100 * d:.2f}"),
    Column("seeds", _seeds),
    Column("McNemar p", lambda row: row.mcnemar or None, _mcnemar),
)


def notes(lines: Sequence[Row], what: str) -> Iterator[str]:
    """What the figures of some differences are, given what is subtracted from what."""
    tested = sum(line.adjusted is not None for line in lines)
    first = f"Test split, in points: {what}, by the metric that the task chooses by."
    if tested:
        first += (
            f" better, worse: p < {LEVEL:g} after Holm's correction for the {tested} "
            f"test{'s' if tested > 1 else ''} of this table; other differences may be chance. The "
            f"interval and p hold over seeds and examples ({RESAMPLES:,} resamples of the "
            "examples)."
        )
    yield first
    if tested * SMALLEST >= LEVEL:
        yield (
            f"So many tests that no p of {RESAMPLES:,} resamples stays below {LEVEL:g} after the "
            "correction: compare fewer columns."
        )
    if any(line.outcome == Verdict.ONE_SEED for line in lines):
        yield (
            "One seed: no test tells how far another seed would differ, and detectable counts the "
            "chance of the examples alone."
        )
    if any(line.difference for line in lines):
        yield (
            "detectable: the true difference that such a comparison shows with a chance of 80 %, "
            "before the correction. Not shown does not mean not there."
        )
    if any(line.mcnemar for line in lines):
        yield (
            "McNemar p: exact test of one pair of students, not of the methods; of several seeds, "
            f"how many are below {LEVEL:g} (not corrected)."
        )


SECTION = Section(
    "comparisons",
    "Comparisons",
    _rows,
    _views,
    pictures=lambda frame, _: differences.of_methods(frame),
)
