"""Laws of runs beside each other: paired on what both have, and honest where nothing can be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.results import Results, load
from bench.report.compare import NOTHING, build
from bench.report.compared import CompareError, CompareInputs
from bench.report.compared.differences import OTHER_ROWS, SECTION, UNMATCHED
from bench.report.document import Report
from bench.report.frame import Row
from bench.report.inputs import RunInputs
from bench.report.sections import comparisons
from bench.report.table import Table
from bench.report.verdict import Verdict, chance
from bench.stats import difference as stats
from tests.bench.report import factory
from tests.bench.report.factory import Kept
from tests.bench.report.shown import lines

LABELS = factory.truth()


def run(folder: Path, found: Iterable[Kept], **more: Any) -> Results:
    return load(factory.kept(folder, found, **more))


def pair(folder: Path, one: Iterable[Kept], other: Iterable[Kept]) -> CompareInputs:
    return CompareInputs([run(folder / "first", one), run(folder / "second", other)])


def compared(inputs: CompareInputs) -> list[Row]:
    return lines(SECTION, inputs)


def based(seed: int, share: float, **more: Any) -> Kept:
    record = factory.retrieval(method="kd", seed=seed, **more)
    return factory.answered(record, factory.guesses(LABELS, share, seed), LABELS)


def table(report: Report, title: str) -> Table:
    return next(one for one in report.tables if one.title.startswith(title))


def test_two_runs_are_compared_as_two_methods_of_one_run_are(tmp_path: Path) -> None:
    """What differs between a method here and there is what would differ within one run."""
    seeds = (0, 1, 2)
    here, there = factory.contest({"kd": 0.8}, seeds), factory.contest({"kd": 0.7}, seeds)
    (across,) = compared(pair(tmp_path, there, here))
    inside = run(tmp_path / "both", factory.contest({"kd": 0.7, "pkd": 0.8}, seeds))
    (within,) = lines(comparisons.SECTION, RunInputs(inside, "kd"))
    assert across.difference == within.difference
    assert across.mcnemar == within.mcnemar
    assert (across.seeds, across.adjusted) == (within.seeds, within.adjusted)
    assert across.outcome == within.outcome == Verdict.BETTER


def test_only_seeds_that_both_have_are_paired(tmp_path: Path) -> None:
    found = pair(
        tmp_path, factory.contest({"kd": 0.7}, (0, 1, 2)), factory.contest({"kd": 0.8}, (1, 2, 3))
    )
    (one,) = compared(found)
    assert (one.seeds, one.left_out) == ([1, 2], [0, 3])
    own = [
        np.mean(factory.guesses(LABELS, 0.8, s) == LABELS)
        - np.mean(factory.guesses(LABELS, 0.7, s) == LABELS)
        for s in one.seeds
    ]
    assert one.difference.estimate == pytest.approx(np.mean(own), abs=1e-9)
    assert table(build(found), "Differences").rows[0][-2] == "2 of 4"
    (apart,) = compared(
        pair(tmp_path / "x", factory.contest({"kd": 0.7}, [0]), factory.contest({"kd": 0.7}, [1]))
    )
    assert apart.verdict == "not comparable: no seed in common"


def test_the_same_answers_are_said_to_be_the_same(tmp_path: Path) -> None:
    found = [*factory.contest({"kd": 0.7}), based(0, 0.8)]
    (off, on) = compared(pair(tmp_path, found, found))
    assert (off.verdict, on.verdict) == (Verdict.SAME, Verdict.SAME)
    assert (off.difference.estimate, off.difference.low, off.difference.high) == (0, 0, 0)


def test_other_rows_are_not_comparable(tmp_path: Path) -> None:
    other = factory.truth(200)[::-1].copy()
    made = factory.answered(factory.training(), factory.guesses(other, 0.7, 0), other)
    (one,) = compared(pair(tmp_path, factory.contest({"kd": 0.7}, [0]), [made]))
    assert one.verdict == f"not comparable: {OTHER_ROWS}"
    assert one.difference is None
    assert one.here.mean is not None  # what its record says still stands
    short = [factory.contest({"kd": 0.7}, [0], examples=150)[0]]
    (one,) = compared(pair(tmp_path / "x", factory.contest({"kd": 0.7}, [0]), short))
    assert one.verdict == f"not comparable: {OTHER_ROWS}"


def test_outputs_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    found = pair(tmp_path, factory.contest({"kd": 0.7}, [0]), factory.contest({"kd": 0.7}, [0]))
    path = found.runs[1].results.folder / "cells" / "t-mrpc-kd-0.npz"
    path.write_bytes(path.read_bytes()[:-40])
    made = build(found)
    assert table(made, "Differences").rows[0][4].startswith("not comparable: ")
    assert [row[:2] for row in table(made, "Unusable files").rows] == [("second", path.name)]


def test_a_knowledge_base_is_the_same_whatever_its_run_calls_it(tmp_path: Path) -> None:
    """Keys stand in the name of an index only where a run varies them."""
    one = [*factory.contest({"kd": 0.7}, [0]), based(0, 0.8)]
    made = based(0, 0.7, keys="student")
    assert made[0].retrieval is not None
    varied = made[0].retrieval.model_copy(update={"keys": "student"})
    found = pair(tmp_path, one, [*one, (made[0].model_copy(update={"retrieval": varied}), made[1])])
    names = [c.retrieval for c in compared(found)]
    assert names == ["off", "hnswlib, projected keys"]
    (left,) = lines(UNMATCHED, found)
    assert (left.retrieval, left.has, left.lacks) == ("hnswlib, student keys", "second", "first")


def test_more_than_two_are_held_against_the_first(tmp_path: Path) -> None:
    found = CompareInputs(
        [
            run(tmp_path / f"run-{n}", factory.contest({"kd": share}))
            for n, share in enumerate((0.7, 0.8, 0.6))
        ]
    )
    made = compared(found)
    assert [(one.run, one.first, one.verdict) for one in made] == [
        ("run-1", "run-0", Verdict.BETTER),
        ("run-2", "run-0", Verdict.WORSE),
    ]
    raw = [one.difference.p for one in made if one.difference]
    assert [one.adjusted for one in made] == stats.holm(raw)
    better, worse = build(found).headline
    assert "1 better. The largest that holds: MRPC kd, +" in better
    assert "1 worse. The largest that holds: MRPC kd, -" in worse


def test_what_only_one_of_them_has_is_listed_and_not_invented(tmp_path: Path) -> None:
    found = pair(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.7}), factory.contest({"rkd": 0.7}))
    made = build(found)
    assert made.headline == (NOTHING,)
    rows = {(row[1], row[3]) for row in table(made, "Only in").rows}
    assert rows == {("kd", "first"), ("pkd", "first"), ("rkd", "second")}
    assert "3 columns are in one of two runs only" in " ".join(made.lead)


def test_an_empty_run_and_one_with_failures_make_a_report(tmp_path: Path) -> None:
    broken = factory.failed(factory.training(), "no")
    found = [run(tmp_path / "empty", []), load(factory.store(tmp_path / "failed", [broken]))]
    for order in (found, found[::-1]):
        made = build(CompareInputs(order))
        assert made.headline == (NOTHING,)
        assert [row[:2] for row in table(made, "Runs").rows] == [
            (one.folder.name, f"0 of {len(one.cells)}") for one in order
        ]


def test_settings_by_which_cells_of_one_name_differ_are_listed(tmp_path: Path) -> None:
    def student(seed: int, temperature: float, key: str) -> Kept:
        (made,) = factory.contest({"kd": 0.7}, [seed])
        identity = {"settings": {"temperature": temperature}, "data": "f00", "seed": seed}
        return made[0].model_copy(update={"identity": identity, "key": key}), made[1]

    found = pair(
        tmp_path,
        [student(seed, 2.0, f"cold{seed}") for seed in (0, 1)],
        [student(seed, 4.0, f"hot{seed}") for seed in (0, 1)],
    )
    made = build(found)
    assert table(made, "Settings that differ").rows == (
        ("settings.temperature", "second", "4.0", "2.0", "mrpc kd"),
    )
    again = run(tmp_path / "again", [student(seed, 2.0, f"cold{seed}") for seed in (0, 1)])
    alike = build(CompareInputs([found.first.results, again]))
    assert not any(one.title.startswith("Settings") for one in alike.tables)


def test_machines_and_versions_are_listed_where_they_differ(tmp_path: Path) -> None:
    def students(**changes: Any) -> list[Kept]:
        made = factory.provenance(**changes)
        found = factory.contest({"kd": 0.7}, [0, 1])
        return [(record.model_copy(update={"provenance": made}), a) for record, a in found]

    found = pair(
        tmp_path,
        students(command="bench run --here"),
        students(cpu="Other", packages={"torch": "2.14.0", "numpy": "2.0.0"}, load=[2.0, 1, 1]),
    )
    made = build(found)
    assert table(made, "Machines").rows == (
        ("CPU", "Test CPU", "Other"),
        ("torch", "2.13.0", "2.14.0"),
    )
    assert any("CPU, torch differ" in line for line in made.lead)
    again = build(CompareInputs([found.first.results, run(tmp_path / "again", students())]))
    assert not any(one.title.startswith("Machines") for one in again.tables)


def test_costs_stand_side_by_side_and_the_first_is_one(tmp_path: Path) -> None:
    slow = []
    for record, arrays in factory.contest({"kd": 0.7}):
        assert record.training is not None
        result = record.training.model_copy(update={"seconds": 60.0})
        slow.append((record.model_copy(update={"training": result}), arrays))
    only_here = factory.contest({"pkd": 0.7}, [0])
    found = pair(
        tmp_path,
        [*factory.contest({"kd": 0.7}), based(0, 0.7)],
        [*slow, *only_here, based(0, 0.7)],
    )
    made = build(found)
    rows = [row[1:6] for row in table(made, "Cost of training").rows]
    assert rows == [("kd", "first", "3", "30", "1.00 x"), ("kd", "second", "3", "60", "2.00 x")]
    searches = table(made, "Cost of retrieval").rows
    assert [row[3] for row in searches] == ["first", "second"]
    assert {row[-2] for row in searches} == {"1.00 x"}


def test_fewer_than_two_runs_and_one_twice_are_mistakes(tmp_path: Path) -> None:
    one = run(tmp_path / "one", [])
    with pytest.raises(CompareError, match="at least two runs"):
        CompareInputs([one])
    with pytest.raises(CompareError, match="one is given twice"):
        CompareInputs([one, one])


def test_a_cell_and_its_copy_are_no_test_of_the_others(tmp_path: Path) -> None:
    """What is reproduced as a matter of course takes no power from what is compared."""
    copies = factory.contest({f"m{n}": 0.7 for n in range(5)})
    found = pair(
        tmp_path,
        [*copies, *factory.contest({"kd": 0.7})],
        [*copies, *factory.contest({"kd": 0.8})],
    )
    (*same, one) = compared(found)
    assert {(other.verdict, other.adjusted) for other in same} == {(Verdict.SAME, None)}
    assert one.adjusted == one.difference.p
    rows = table(build(found), "Differences").rows
    assert rows[0][7:10] == ("+0.00", "[+0.00, +0.00]", chance(None))


def test_the_same_answers_of_other_cells_are_a_test(tmp_path: Path) -> None:
    again = [
        (record.model_copy(update={"key": f"other-{record.key}"}), arrays)
        for record, arrays in factory.contest({"kd": 0.7})
    ]
    (one,) = compared(pair(tmp_path, factory.contest({"kd": 0.7}), again))
    assert (one.verdict, one.adjusted) == (Verdict.SAME, 1.0)
