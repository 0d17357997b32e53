"""What else is not the same in two runs: settings, machines and versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.records.differences import differing, said
from bench.records.run import Record
from bench.report import origin
from bench.report.across import Run, records
from bench.report.table import EMPTY, Table

OWN_OF_A_CALL = ("command", "load", "finished")
"""Facts that differ between any two calls; the table of runs has them."""


@dataclass(frozen=True)
class OtherSetting:
    """A part of what decides the results that is not the same in a run and the first.

    Attributes:
        setting: dotted path in the identity of the cells.
        here, there: in ``run`` and in the first run, as text.
        cells: the (task, method) it is so for, as text.
    """

    run: str
    setting: str
    here: str
    there: str
    cells: tuple[str, ...]


def settings(found: Sequence[Run]) -> list[OtherSetting]:
    """Settings, data, models and code versions by which cells of the same name are others.

    Read from the identities of cells that both runs have finished, same seed.
    """
    made: dict[tuple[str, str, str, str], dict[str, None]] = {}
    first = {(at, seed): record for at, seed, record in records(found[0])}
    for other in found[1:]:
        for at, seed, record in records(other):
            before = first.get((at, seed))
            if before is None or before.key == record.key:
                continue
            for one in differing(record.identity, before.identity):
                where = (other.name, one.path, said(one.one), said(one.other))
                made.setdefault(where, {})[f"{record.task} {record.method}"] = None
    return [OtherSetting(*where, tuple(cells)) for where, cells in made.items()]


def settings_table(found: Sequence[OtherSetting], first: str) -> Table | None:
    """The settings, or None if all cells of the same name are the same cells."""
    rows = tuple((one.setting, one.run, one.here, one.there, ", ".join(one.cells)) for one in found)
    columns = ("setting", "run", "value", f"value in {first}", "cells")
    notes = (
        "Of what decides the results of cells that both runs have. A difference of scores may "
        "come from any of them.",
    )
    return Table("Settings that differ", columns, rows, len(columns), notes) if rows else None


def run_table(found: Sequence[Run]) -> Table:
    """Each run in a line: how much of it there is, made when, by what."""
    rows = []
    for run in found:
        cells = run.results.cells
        facts = origin.facts(run.results.records)
        ok = sum(cell.status == "ok" for cell in cells)
        rows.append(
            (
                run.name,
                f"{ok} of {len(cells)}",
                "; ".join(facts.get("finished", ())) or EMPTY,
                str(run.results.run.get("command") or EMPTY),
            )
        )
    return Table("Runs", ("run", "cells ok", "finished", "command"), tuple(rows), 4)


def machine_table(found: Sequence[Run]) -> Table | None:
    """Machines and versions where they are not the same in all runs, or None."""
    facts = [_facts(run.results.records) for run in found]
    names = dict.fromkeys(name for each in facts for name in each)
    rows = []
    for name in names:
        values = tuple(" / ".join(each.get(name, ())) or EMPTY for each in facts)
        if len(set(values)) > 1:
            rows.append((name, *values))
    columns = ("what", *(run.name for run in found))
    notes = ("Several values in one run are divided by a slash.",)
    title = "Machines and versions that differ"
    return Table(title, columns, tuple(rows), len(columns), notes) if rows else None


def _facts(found: Sequence[Record]) -> dict[str, list[str]]:
    """Facts of a run, every package by itself."""
    facts = origin.facts(found)
    kept = {n: values for n, values in facts.items() if n not in (*OWN_OF_A_CALL, "packages")}
    versions: dict[str, set[str]] = {}
    for record in found:
        for name, version in record.provenance.packages.items():
            versions.setdefault(name, set()).add(version)
    return kept | {name: sorted(versions[name]) for name in sorted(versions)}
