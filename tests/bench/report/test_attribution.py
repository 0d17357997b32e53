"""What a gain is made of: paired differences, the reference, the controls, and alignment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.records.planned import Planned
from bench.records.results import CELL_AXES, CellState, Results
from bench.records.run import Answers, ControlResult, Record, SecondHeadResult, TemperatureResult
from bench.records.store import Store
from bench.report.frame import Row
from bench.report.inputs import RunInputs
from bench.report.sections import alignment, scores
from bench.report.sections.alignment import BETWEEN
from bench.report.sections.attribution import NO_BASE, REFERENCE, SECTION, worth
from bench.report.sections.scores import OFF
from bench.report.table import EMPTY
from bench.stats.difference import holm
from tests.bench.report import factory
from tests.bench.report.factory import Kept
from tests.bench.report.shown import lines, titled

LABELS = factory.truth()
AXES = CELL_AXES
SEEDS = (0, 1, 2)


def base(on: float, seed: int = 0, method: str = "reaugkd", off: float = 0.8, **own: Any) -> Record:
    """A student with the reference knowledge base, or with ``own`` changes of it."""
    made = factory.retrieval(method=method, seed=seed, off=off, on=on, backend="exact")
    assert made.retrieval is not None
    result = made.retrieval.model_copy(update=own)
    key = f"{made.key}-{'-'.join(map(str, own.values()))}".replace(" ", "").replace("-none", "")
    return made.model_copy(update={"retrieval": result, "key": key})


def right(chance: float, seeds: Sequence[int] = SEEDS, **own: Any) -> list[Kept]:
    """The same with answers that are right as often as ``chance`` says."""
    return [
        factory.answered(base(0.8, s, **own), factory.guesses(LABELS, chance, s), LABELS)
        for s in seeds
    ]


def controls(seed: int = 0, temperature: float | None = 1.7) -> Record:
    def answers(value: float, loss: float) -> Answers:
        return Answers(scores=factory.scores("mrpc", value), loss=factory.loss("mrpc", loss))

    scaled = None
    if temperature:
        scaled = TemperatureResult(
            temperature=temperature, fitted_on="held_out", answers=answers(0.8, 0.15)
        )
    result = ControlResult(
        training_key="t",
        student_init="teacher@0,2,4",
        off=answers(0.8, 0.2),
        temperature=scaled,
        temperature_reason=None if scaled else "scores have no temperature",
        second_head=SecondHeadResult(
            strength=1.0,
            strengths=[1.0],
            converged=True,
            beta=0.3,
            betas=[0.0, 0.3],
            selected_on="held_out",
            alone=answers(0.79, 0.3),
            mixed=answers(0.805, 0.18),
        ),
    )
    return factory.record(
        "control", f"c-mrpc-reaugkd-{seed}-x-x", "mrpc", "reaugkd", seed, controls=result
    )


def inputs(
    folder: Path, *cells: Record | Kept | CellState, design: str = "one-at-a-time"
) -> RunInputs:
    """As they would be read; the factory's plan does not know of such changes."""
    store = Store(folder)
    store.create()
    planned = []
    for cell in cells:
        if isinstance(cell, tuple):
            store.write(*cell)
        planned.append(cell if isinstance(cell, CellState) else _cell(cell))
    run = {"config": {"retrieval": {"design": design}}}
    return RunInputs(Results(folder, run, tuple(planned), 0, ()))


def _cell(cell: Record | Kept) -> CellState:
    record = cell[0] if isinstance(cell, tuple) else cell
    own = {name: getattr(record.retrieval, name) for name in AXES} if record.retrieval else {}
    names = ("key", "kind", "task", "method", "seed")
    plan = Planned(**{name: getattr(record, name) for name in names}, **own)
    return CellState(plan, "ok", "", record)


def test_a_change_is_compared_with_the_reference_of_the_same_seed(tmp_path: Path) -> None:
    reference, hard = lines(
        SECTION,
        inputs(
            tmp_path,
            base(0.82),
            base(0.84, values="hard"),
            base(0.70, seed=1, off=0.7),
            base(0.71, seed=1, off=0.7, values="hard"),
        ),
    )
    assert (reference.factor, reference.to_reference, reference.n) == (REFERENCE, None, 2)
    assert (hard.factor, hard.level) == ("values", "hard labels")
    assert hard.to_reference.mean == pytest.approx((0.02 + 0.01) / 2)
    assert hard.gain.mean == pytest.approx((0.04 + 0.01) / 2)
    assert hard.loss_change.mean == pytest.approx(-(0.04 + 0.01) / 2)


@pytest.mark.parametrize(
    ("change", "factor", "level"),
    [
        ({"keys": "student"}, "keys", "student keys"),
        ({"share": 0.05}, "share", "5 %"),
        ({"control": "shuffled-labels"}, "control", "shuffled labels"),
        ({"backend": "hnswlib"}, "backend", "hnswlib"),
        ({"keys": "student", "share": 0.5}, "several", "student keys, 50 %"),
    ],
)
def test_what_was_changed_is_named(
    change: dict[str, Any], factor: str, level: str, tmp_path: Path
) -> None:
    made = inputs(tmp_path, base(0.82), base(0.81, **change))
    assert [(row.factor, row.level) for row in lines(SECTION, made)[1:]] == [(factor, level)]
    assert worth(made.frame(SECTION)) == (factor != "backend") == bool(titled(SECTION, made))


def test_a_cheaper_base_is_no_part_of_a_gain_unless_all_are(tmp_path: Path) -> None:
    few = {"condense": "random:33"}
    made = inputs(tmp_path, base(0.82), base(0.8, **few), base(0.81, pca=8, values="hard"))
    assert [row.factor for row in lines(SECTION, made)] == [REFERENCE]
    made = inputs(tmp_path / "few", base(0.82, **few), base(0.8, values="hard", **few))
    reference, hard = lines(SECTION, made)
    assert reference.level == "projected keys, soft labels, 100 %, exact, random:33"
    assert (hard.factor, hard.level) == ("values", "hard labels")


def test_a_reference_that_failed_is_not_replaced_by_another(tmp_path: Path) -> None:
    broken = CellState(_cell(base(0.82)).plan, "failed", "no", factory.failed(base(0.82), "no"))
    made = inputs(tmp_path, broken, base(0.84, values="hard"), base(0.83, share=0.5))
    found = [(row.factor, row.to_reference.mean) for row in lines(SECTION, made)]
    assert found == [("values", None), ("share", None)]
    assert lines(alignment.SECTION, made) == []


@pytest.mark.parametrize(("design", "shown"), [("one-at-a-time", 2), ("product", 3)])
def test_scores_of_an_ablation_show_the_reference_alone(
    design: str, shown: int, tmp_path: Path
) -> None:
    records = [base(0.82), base(0.84, backend="hnswlib"), base(0.9, share=0.5)]
    made = inputs(tmp_path, factory.training(method="reaugkd"), *records, design=design)
    rows = titled(scores.SECTION, made)["Scores"].rows
    assert len([row for row in rows if row[0] == "reaugkd" and row[1] != OFF]) == shown


def test_controls_stand_beside_the_reference(tmp_path: Path) -> None:
    made = inputs(tmp_path, base(0.82), controls())
    scaled, head = (row for row in lines(SECTION, made) if row.factor == NO_BASE)
    assert scaled.gain.mean == 0
    assert scaled.loss_change.mean == pytest.approx(-0.05)
    assert head.gain.mean == pytest.approx(0.005)
    assert head.to_reference.mean == pytest.approx(-0.015)
    assert (scaled.beta, head.beta) == ([None], [0.3])


def test_tables_have_a_row_per_change_and_a_column_per_method(tmp_path: Path) -> None:
    made = inputs(
        tmp_path, base(0.82), base(0.8, share=0.1), controls(), base(0.79, method="kd", off=0.78)
    )
    gains = titled(SECTION, made)["Attribution of the gain"]
    assert gains.columns == ("task", "changed", "to", "reaugkd", "kd", "n")
    assert [row[1] for row in gains.rows] == [REFERENCE, "share", NO_BASE, NO_BASE]
    assert gains.rows[0][3:] == ("+2.00", "+1.00", "1")
    assert gains.rows[1][3:] == ("+0.00", EMPTY, "1")
    assert "must not help" in " ".join(gains.notes)
    assert titled(SECTION, made)["Change of the loss"].rows[2][3] == "-0.0500"


# --- intervals ------------------------------------------------------------------------------------


def students(seeds: Sequence[int] = SEEDS) -> list[Kept]:
    return factory.contest({"reaugkd": 0.7}, seeds)


def test_the_interval_is_around_the_paired_mean(tmp_path: Path) -> None:
    made = inputs(tmp_path, *students(), *right(0.8), *right(0.7, values="hard"))
    reference, hard = lines(SECTION, made)
    assert reference.from_reference is None
    one = hard.from_reference
    assert one.estimate == pytest.approx(hard.to_reference.mean, abs=1e-9)
    assert one.sd == pytest.approx(hard.to_reference.sd, abs=1e-9)
    assert one.low < one.estimate < one.high < 0


def test_outputs_that_are_missing_leave_the_means_as_they_are(tmp_path: Path) -> None:
    cells = [*students(), *right(0.8), *right(0.7, share=0.5)]
    whole = lines(SECTION, inputs(tmp_path, *cells))[1]
    made = inputs(tmp_path, *cells)
    for path in (tmp_path / "cells").glob("r-*0.5.npz"):
        path.unlink()
    row = lines(SECTION, made)[1]
    assert (row.gain, row.to_reference) == (whole.gain, whole.to_reference)
    assert (row.from_reference, row.adjusted) == (None, None) != whole.from_reference


def test_what_holds_beside_all_others_is_marked_and_nothing_else(tmp_path: Path) -> None:
    cells = [*right(0.8), *right(0.4, values="hard"), *right(0.8, share=0.5)]
    made = inputs(tmp_path, *students(), *cells)
    rows = lines(SECTION, made)
    tested = [row.from_reference.p for row in rows if row.from_reference]
    assert [row.adjusted for row in rows] == [None, *holm(tested)]
    table = titled(SECTION, made)["Difference from the reference"]
    assert [row[3].endswith(" *") for row in table.rows] == [True, False]
    assert "for the 2 tests of this table" in table.notes[1]


# --- alignment ------------------------------------------------------------------------------------


def contest(folder: Path, shares: dict[str, tuple[float, float]]) -> RunInputs:
    """Method -> how often its student is right alone, and with the reference knowledge base."""
    changed = [base(0.8, method="rkd"), base(0.8, method="rkd", share=0.5)]  # worth a table
    cells: list[Kept | Record] = [*changed]
    for method, (off, on) in shares.items():
        for student in factory.contest({method: off}, SEEDS):
            assert student[0].training is not None
            (based,) = right(on, [student[0].seed], method=method)
            assert based[0].retrieval is not None
            result = based[0].retrieval.model_copy(update={"off": student[0].training.scores})
            cells += [student, (based[0].model_copy(update={"retrieval": result}), based[1])]
    return inputs(folder, *cells)


def added(made: RunInputs) -> Row:
    (row,) = [row for row in lines(alignment.SECTION, made) if row.method == BETWEEN]
    return row


def test_alignment_and_its_interaction_with_retrieval(tmp_path: Path) -> None:
    cells = [base(0.79, method="kd", off=0.78), base(0.83), base(0.7, share=0.5)]
    made = inputs(tmp_path, *cells)
    assert [row.method for row in lines(alignment.SECTION, made)] == ["kd", "reaugkd", BETWEEN]
    row = added(made)
    assert (row.off.mean, row.on.mean, row.gain.mean) == pytest.approx((0.02, 0.04, 0.02))
    (table,) = titled(alignment.SECTION, made).values()
    assert table.rows[2][2:5] == ("+2.00", "+4.00", "+2.00")
    assert alignment.SECTION.methods(row) == ["reaugkd", "kd"]


def test_intervals_are_around_the_paired_means(tmp_path: Path) -> None:
    made = contest(tmp_path, {"kd": (0.6, 0.65), "reaugkd": (0.7, 0.9)})
    row = added(made)
    for name in alignment.TESTED:
        value, one = getattr(row, name), getattr(row, f"{name}_tested").difference
        assert one.estimate == pytest.approx(value.mean, abs=1e-9)
        assert one.sd == pytest.approx(value.sd, abs=1e-9)
        assert one.low < one.estimate < one.high


def test_the_gain_of_a_gain_is_exactly_0_where_retrieval_does_nothing(tmp_path: Path) -> None:
    one = added(contest(tmp_path, {"kd": (0.6, 0.6), "reaugkd": (0.7, 0.7)})).gain_tested.difference
    assert (one.estimate, one.low, one.high, one.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_star_is_a_p_that_holds_after_the_correction(tmp_path: Path) -> None:
    made = contest(tmp_path, {"kd": (0.5, 0.55), "reaugkd": (0.95, 0.97)})
    tests = [getattr(added(made), f"{name}_tested") for name in alignment.TESTED]
    assert [one.adjusted for one in tests] == holm([one.difference.p for one in tests])
    (table,) = titled(alignment.SECTION, made).values()
    assert [cell.endswith(" *") for cell in table.rows[-1][2:5]] == [True, True, False]
    assert "for the 3 tests of this table" in table.notes[-1]
