"""What a gain is made of: paired differences, the reference, the controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.records.run import Answers, ControlResult, Record, SecondHeadResult, TemperatureResult
from bench.report.alignment import corner_table, corners
from bench.report.attribution import NO_BASE, REFERENCE, factors, gain_table, loss_table, worth
from bench.report.inputs import RunInputs
from bench.report.results import Cell, Planned, Results
from bench.report.sections import scores
from bench.report.table import EMPTY
from tests.bench.report import factory


def base(on: float, seed: int = 0, method: str = "reaugkd", off: float = 0.8, **own: Any) -> Record:
    """A student with the reference knowledge base, or with ``own`` changes of it."""
    made = factory.retrieval(method=method, seed=seed, off=off, on=on, backend="exact")
    assert made.retrieval is not None
    result = made.retrieval.model_copy(update=own)
    key = f"{made.key}-{'-'.join(map(str, own.values()))}".replace(" ", "").replace("-none", "")
    return made.model_copy(update={"retrieval": result, "key": key})


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


def found(folder: Path, *records: Record) -> Results:
    """As they would be read; keys and plans of such records are not the factory's."""
    cells = tuple(_cell(record) for record in records)
    return Results(folder, {}, cells, 0, ())


def _cell(record: Record) -> Cell:
    result = record.retrieval
    names = ("backend", "keys", "values", "share", "control")
    own = {name: getattr(result, name) for name in names} if result else {}
    plan = Planned(
        key=record.key,
        kind=record.kind,
        task=record.task,
        method=record.method,
        seed=record.seed,
        **own,
    )
    return Cell(plan, "ok", "", record)


def test_a_change_is_compared_with_the_reference_of_the_same_seed(tmp_path: Path) -> None:
    rows = factors(
        found(
            tmp_path,
            base(0.82),
            base(0.84, values="hard"),
            base(0.70, seed=1, off=0.7),
            base(0.71, seed=1, off=0.7, values="hard"),
        )
    )
    reference, hard = rows
    assert (reference.factor, reference.to_reference, reference.n) == (REFERENCE, None, 2)
    assert (hard.factor, hard.level) == ("values", "hard labels")
    assert hard.to_reference is not None
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
    rows = factors(found(tmp_path, base(0.82), base(0.81, **change)))
    assert [(row.factor, row.level) for row in rows[1:]] == [(factor, level)]
    assert worth(rows) == (factor != "backend")


def test_a_reference_that_failed_is_not_replaced_by_another(tmp_path: Path) -> None:
    made = found(tmp_path, base(0.82), base(0.84, values="hard"), base(0.83, share=0.5))
    first = made.cells[0]
    broken = Cell(first.plan, "failed", "no", factory.failed(base(0.82), "no"))
    rows = factors(Results(tmp_path, {}, (broken, *made.cells[1:]), 0, ()))
    assert [(row.factor, row.to_reference.mean) for row in rows if row.to_reference] == [
        ("values", None),
        ("share", None),
    ]
    assert corners(Results(tmp_path, {}, (broken, *made.cells[1:]), 0, ())) == []


def test_scores_of_an_ablation_show_the_reference_alone(tmp_path: Path) -> None:
    records = [base(0.82), base(0.84, backend="hnswlib"), base(0.9, share=0.5)]
    cells = found(tmp_path, factory.training(method="reaugkd"), *records).cells
    for design, expected in (("one-at-a-time", 2), ("product", 3)):
        run = {"config": {"retrieval": {"design": design}}}
        frame = scores.SECTION.rows(RunInputs(Results(tmp_path, run, cells, 0, ())))
        shown = frame[(frame["method"] == "reaugkd") & (frame["retrieval"] != "off")]
        assert shown["retrieval"].nunique() == expected


def test_controls_stand_beside_the_reference(tmp_path: Path) -> None:
    rows = factors(found(tmp_path, base(0.82), controls()))
    scaled, head = (row for row in rows if row.factor == NO_BASE)
    assert scaled.gain.mean == 0
    assert scaled.loss_change.mean == pytest.approx(-0.05)
    assert head.gain.mean == pytest.approx(0.005)
    assert head.to_reference is not None
    assert head.to_reference.mean == pytest.approx(-0.015)
    assert (scaled.beta, head.beta) == ([None], [0.3])


def test_controls_stand_without_any_knowledge_base_that_worked(tmp_path: Path) -> None:
    rows = factors(found(tmp_path, controls()))
    assert [row.level for row in rows] == ["temperature-scaled student", "second head"]


def test_a_control_that_does_not_apply_has_no_row(tmp_path: Path) -> None:
    rows = factors(found(tmp_path, base(0.82), controls(temperature=None)))
    assert [row.level for row in rows if row.factor == NO_BASE] == ["second head"]


def test_alignment_and_its_interaction_with_retrieval(tmp_path: Path) -> None:
    rows = corners(
        found(tmp_path, base(0.79, method="kd", off=0.78), base(0.83, method="reaugkd", off=0.8))
    )
    kd, reaugkd, difference = rows
    assert (kd.method, reaugkd.method) == ("kd", "reaugkd")
    assert difference.method == "reaugkd - kd"
    assert difference.off.mean == pytest.approx(0.02)
    assert difference.on.mean == pytest.approx(0.04)
    assert difference.gain.mean == pytest.approx(0.02)
    assert corner_table(rows).rows[2][2:5] == ("+2.00", "+4.00", "+2.00")


def test_the_tables_stand_in_the_report_only_if_there_is_something_to_attribute(
    tmp_path: Path,
) -> None:
    titles = {table.title for table in factory.report(tmp_path, factory.matrix()).tables}
    assert not {"Alignment and retrieval", "Attribution of the gain"} & titles


def test_the_tables_have_a_row_per_change_and_a_column_per_method(tmp_path: Path) -> None:
    rows = factors(
        found(
            tmp_path,
            base(0.82),
            base(0.8, share=0.1),
            controls(),
            base(0.79, method="kd", off=0.78),
        )
    )
    gains = gain_table(rows)
    assert gains.columns == ("task", "changed", "to", "reaugkd", "kd", "n")
    assert [row[1] for row in gains.rows] == [REFERENCE, "share", NO_BASE, NO_BASE]
    assert gains.rows[0][3:] == ("+2.00", "+1.00", "1")
    assert gains.rows[1][3:] == ("+0.00", EMPTY, "1")
    assert "must not help" in " ".join(gains.notes)
    assert loss_table(rows).rows[2][3] == "-0.0500"
