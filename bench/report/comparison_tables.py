"""Differences as tables: what is shown of a comparison, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.comparisons import (
    ONE_SEED,
    Comparison,
    chance,
    interval,
    of_kind,
    signed,
)
from bench.report.table import EMPTY, Table
from bench.stats.difference import LEVEL, RESAMPLES

SMALLEST = 2 / (2 * RESAMPLES + 1)
"""No interval's p is below: each resample gives two of the values that it is counted from."""

FIGURES = ("difference", "95 % interval", "p", "p Holm", "detectable", "seeds", "McNemar p")
OF_A_TEST = ("95 % interval", "p", "p Holm")
"""Figures that take two seeds."""


def tables(found: Sequence[Comparison], *, kept: bool) -> tuple[Table | None, ...]:
    """Differences from the baseline and gains of retrieval; a note if no outputs were kept."""
    if kept:
        return baseline_table(found), retrieval_table(found)
    note = "No outputs lie beside the cells (cells/<key>.npz), and without them there is no test."
    return (Table("Comparisons", ("task", "method"), (), 2, (note,)),)


def baseline_table(found: Sequence[Comparison]) -> Table | None:
    """Differences from the baseline, or None without any."""
    own = of_kind(found, "baseline")
    if not own:
        return None
    name = own[0].baseline
    what = f"score minus that of {name} without retrieval, paired by seed and example"
    return _table(f"Differences from {name}", own, what)


def retrieval_table(found: Sequence[Comparison]) -> Table | None:
    """The gain of every index, or None without any."""
    own = of_kind(found, "retrieval")
    what = "score with retrieval minus that of the same student alone, paired by seed and example"
    return _table("Gain of retrieval", own, what) if own else None


def _table(title: str, own: Sequence[Comparison], what: str) -> Table:
    labels = ("task", "method", "retrieval", "verdict")
    tested = sum(one.adjusted is not None for one in own)
    hidden = set() if tested else set(OF_A_TEST)
    hidden |= set() if any(one.mcnemar for one in own) else {"McNemar p"}
    shown = tuple(name for name in FIGURES if name not in hidden)
    rows = (
        (one.title, one.method, one.retrieval, one.verdict, *map(figures(one).get, shown))
        for one in own
    )
    cells = tuple(tuple(cell or EMPTY for cell in row) for row in rows)
    return Table(title, (*labels, *shown), cells, len(labels), _notes(own, what, tested))


def figures(one: Comparison) -> dict[str, str]:
    """Each of :data:`FIGURES` as text; empty if the two cannot be compared."""
    found = one.difference
    if found is None:
        return {}
    # No example told the two apart: how far others could is not known, and certainly not 0.
    detectable = f"{100 * found.detectable:.2f}" if found.detectable else EMPTY
    values = (
        signed(found.estimate),
        interval(found),
        chance(found.p),
        chance(one.adjusted),
        detectable,
        _seeds(one),
        _mcnemar(one.mcnemar),
    )
    return dict(zip(FIGURES, values, strict=True))


def _notes(own: Sequence[Comparison], what: str, tested: int) -> tuple[str, ...]:
    notes = [f"Test split, in points: {what}, by the metric that the task chooses by."]
    if tested:
        notes[0] += (
            f" better, worse: p < {LEVEL:g} after Holm's correction for the {tested} "
            f"test{'s' if tested > 1 else ''} of this table; other differences may be chance. The "
            f"interval and p hold over seeds and examples ({RESAMPLES:,} resamples of the "
            "examples)."
        )
    if tested * SMALLEST >= LEVEL:
        notes.append(
            f"So many tests that no p of {RESAMPLES:,} resamples stays below {LEVEL:g} after the "
            "correction: compare fewer columns."
        )
    if any(one.verdict == ONE_SEED for one in own):
        notes.append(
            "One seed: no test tells how far another seed would differ, and detectable counts the "
            "chance of the examples alone."
        )
    if any(one.difference for one in own):
        notes.append(
            "detectable: the true difference that such a comparison shows with a chance of 80 %, "
            "before the correction. Not shown does not mean not there."
        )
    if any(one.mcnemar for one in own):
        notes.append(
            "McNemar p: exact test of one pair of students, not of the methods; of several seeds, "
            f"how many are below {LEVEL:g} (not corrected)."
        )
    return tuple(notes)


def _seeds(one: Comparison) -> str:
    known, every = len(one.seeds), len(one.seeds) + len(one.left_out)
    return f"{known}" if known == every else f"{known} of {every}"


def _mcnemar(found: Sequence[float]) -> str:
    if len(found) < 2:
        return chance(found[0] if found else None)
    return f"{sum(p < LEVEL for p in found)} of {len(found)}"
