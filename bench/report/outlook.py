"""What a plan of test rows and seeds can see, and what a difference would need, by pilot cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.report.pilots import ONE_SEED, Pilot
from bench.report.table import EMPTY, Table
from bench.report.verdict import signed
from bench.stats import power
from bench.stats.difference import LEVEL, POWER
from bench.stats.power import Spread

LABELS = ("task", "difference")
"""Columns that say what a row is of."""


@dataclass(frozen=True)
class Aims:
    """What is asked of a plan.

    Attributes:
        power: the chance with which a difference is to be shown.
        level: p below which it is.
        difference: one that must be seen, in shares; None if none is named.
    """

    power: float = POWER
    level: float = LEVEL
    difference: float | None = None

    def sees(self, spread: Spread, rows: int, seeds: int) -> float:
        """The true difference that the plan shows, in shares."""
        return power.detectable(spread, rows, seeds, power=self.power, level=self.level)


@dataclass(frozen=True)
class Outlook:
    """A pilot's comparison under a plan of ``rows`` and ``seeds``; differences are shares.

    Attributes:
        sees: the true difference that is shown with the power that is asked for.
        cautious: the same with training's variance at its limit; None without a pilot.
        chance: that the difference that must be seen is shown; None without one.
    """

    pilot: Pilot
    rows: int
    seeds: int
    sees: float
    cautious: float | None
    chance: float | None


@dataclass(frozen=True)
class Need:
    """What it takes to see the difference; None where no number is enough.

    Attributes:
        given: ``seeds`` or ``rows``, of which there are ``number``.
        needed: of the other.
        cautious: the same with training's variance at its limit.
        decided: whether ``cautious`` is known, which without a pilot it is not.
    """

    pilot: Pilot
    given: str
    number: int
    needed: int | None
    cautious: int | None
    decided: bool


def outlooks(
    pilots: Sequence[Pilot], rows: Sequence[int], seeds: Sequence[int], aims: Aims
) -> Iterator[Outlook]:
    """Every usable pilot under every plan."""
    for pilot in pilots:
        if (spread := pilot.spread) is not None:
            for n in rows:
                for count in seeds:
                    limit, chance = pilot.cautious, None
                    if aims.difference is not None:
                        asked = (aims.difference, n, count)
                        chance = power.chance(spread, *asked, level=aims.level)
                    yield Outlook(
                        pilot,
                        n,
                        count,
                        sees=aims.sees(spread, n, count),
                        cautious=None if limit is None else aims.sees(limit, n, count),
                        chance=chance,
                    )


def needs(
    pilots: Sequence[Pilot], rows: Sequence[int], seeds: Sequence[int], aims: Aims
) -> Iterator[Need]:
    """The rows that each number of seeds needs to see the difference, and the seeds of rows."""
    if aims.difference is None:
        return
    for pilot in pilots:
        if (spread := pilot.spread) is None:
            continue
        limit = pilot.cautious
        for given, numbers in (("seeds", seeds), ("rows", rows)):
            search = power.rows_needed if given == "seeds" else power.seeds_needed
            for number in numbers:
                found, cautious = (
                    None
                    if of is None
                    else search(of, aims.difference, number, power=aims.power, level=aims.level)
                    for of in (spread, limit)
                )
                yield Need(pilot, given, number, found, cautious, limit is not None)


def tables(
    pilots: Sequence[Pilot], rows: Sequence[int], seeds: Sequence[int], aims: Aims
) -> Iterator[Table]:
    """What plans see; with a difference to be seen also what it needs; pilots of no use."""
    yield from seen_tables([*outlooks(pilots, rows, seeds, aims)], aims)
    if needed := [*needs(pilots, rows, seeds, aims)]:
        yield Table(
            f"What {_points(aims.difference or 0.0)} points need",
            (*LABELS, "with", "needs", "cautious"),
            tuple(_needed(need) for need in needed),
            labels=len(LABELS),
            notes=(
                "none: with so few seeds no number of rows is enough, or with so few rows no "
                "number of seeds.",
            ),
        )
    yield from useless_tables([pilot for pilot in pilots if pilot.spread is None])


def seen_tables(seen: Sequence[Outlook], aims: Aims) -> Iterator[Table]:
    """What each plan sees; no table of none."""
    if seen:
        chance = () if aims.difference is None else (f"chance of {_points(aims.difference)}",)
        yield Table(
            "What a plan can see",
            (*LABELS, "pilot", "found", "disagree", "rows", "seeds", "sees", "cautious", *chance),
            tuple(_seen(outlook) for outlook in seen),
            labels=len(LABELS),
            notes=(_note(aims, seen),),
        )


def useless_tables(useless: Sequence[Pilot]) -> Iterator[Table]:
    """Pilots that cannot be used, each with its reason."""
    if useless:
        yield Table(
            "Pilot cells that cannot be used",
            (*LABELS, "reason"),
            tuple((pilot.title, pilot.name, pilot.reason) for pilot in useless),
            labels=len(LABELS) + 1,
            notes=tuple(_of_one_seed(useless)),
        )


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _labels(pilot: Pilot) -> tuple[str, ...]:
    return pilot.title, pilot.name


def _seen(outlook: Outlook) -> tuple[str, ...]:
    pilot = outlook.pilot
    return (
        *_labels(pilot),
        f"{pilot.rows:,} x {len(pilot.seeds)}" if pilot.seeds else EMPTY,
        EMPTY if pilot.difference is None else signed(pilot.difference),
        EMPTY if pilot.disagreement is None else _points(pilot.disagreement),
        f"{outlook.rows:,}",
        str(outlook.seeds),
        _points(outlook.sees),
        EMPTY if outlook.cautious is None else _points(outlook.cautious),
        *(() if outlook.chance is None else (_percent(outlook.chance),)),
    )


def _needed(need: Need) -> tuple[str, ...]:
    other = "rows" if need.given == "seeds" else "seeds"

    def number(value: int | None) -> str:
        return "none" if value is None else f"{value:,} {other}"

    return (
        *_labels(need.pilot),
        f"{need.number:,} {need.given}",
        number(need.needed),
        number(need.cautious) if need.decided else EMPTY,
    )


def _of_one_seed(useless: Sequence[Pilot]) -> Iterator[str]:
    known = [p.disagreement for p in useless if p.reason == ONE_SEED and p.disagreement]
    if known:
        yield (
            "Of one seed the rows alone can be planned, which is the least it takes: bench power "
            f"--disagreement {_points(max(known))}"
        )


def _note(aims: Aims, seen: Sequence[Outlook]) -> str:
    note = (
        f"In points. sees: the true difference that is shown (p < {aims.level:g}, before Holm's "
        f"correction) with a chance of {_percent(aims.power)}."
    )
    if any(outlook.cautious is not None for outlook in seen):
        note += (
            " pilot: test rows x seeds; disagree: rows on which exactly one is right. cautious: "
            "the same if training varies as much as the pilot cannot exclude (confidence "
            f"{_percent(power.CAUTION)}): few seeds, or few rows, know that badly."
        )
    return note


def tree(
    pilots: Sequence[Pilot], rows: Sequence[int], seeds: Sequence[int], aims: Aims
) -> dict[str, Any]:
    """All of it as plain JSON; differences and variances are shares."""
    asked = (pilots, rows, seeds, aims)
    return {
        "power": aims.power,
        "alpha": aims.level,
        "difference": aims.difference,
        "pilots": [asdict(pilot) for pilot in pilots],
        "plans": [{**_about(plan.pilot), **_own(plan)} for plan in outlooks(*asked)],
        "needs": [{**_about(need.pilot), **_own(need)} for need in needs(*asked)],
    }


def _about(pilot: Pilot) -> dict[str, Any]:
    return {name: getattr(pilot, name) for name in ("task", "metric", "ours", "theirs")}


def _own(value: Outlook | Need) -> dict[str, Any]:
    return {name: field for name, field in vars(value).items() if name != "pilot"}
