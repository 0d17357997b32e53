"""Laws of the published numbers: known names, plausible figures, shown beside their like only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baselines import METHODS
from bench.layers import read
from bench.records.run import Record, TeacherFacts, TrainingResult
from bench.report.frame import Row
from bench.report.published import Published, published
from bench.report.scores import TEACHER
from bench.report.sections.published import SECTION
from reaugkd.models.spec import ModelSpec
from reaugkd.tasks import TASKS
from tests.bench.report import factory, shown

BASE, L6 = "google-bert/bert-base-uncased", "google/bert_uncased_L-6_H-768_A-12"
FIRST_6 = f"{BASE}@0,1,2,3,4,5"


@pytest.fixture(scope="module")
def known() -> Published:
    return published()


def bert(layers: int, *, pooler: bool = False, outputs: int = 2) -> int:
    """Parameters of a BERT of 768 with a linear head, from the shapes of its weights."""
    width, vocabulary, positions, inner = 768, 30_522, 512, 3_072
    embeddings = (vocabulary + positions + 2) * width + 2 * width
    attention = 4 * (width * width + width) + 2 * width
    feed_forward = 2 * width * inner + inner + width + 2 * width
    head = (width + 1) * outputs
    return embeddings + layers * (attention + feed_forward) + pooler * width * (width + 1) + head


# --- the file --------------------------------------------------------------------------------


def test_every_method_is_registered(known: Published) -> None:
    methods = {result.method for result in known.result}
    assert methods <= {*METHODS, TEACHER}
    assert methods >= {"finetune", "kd", "pkd", "metadistil", "reaugkd", TEACHER}


def test_settings_that_tell_results_apart_are_settings_of_the_method(known: Published) -> None:
    for result in known.result:
        if result.settings:
            METHODS[result.method].Settings.model_validate(result.settings)


def test_every_name_is_known_and_every_score_is_in_points(known: Published) -> None:
    assert known.source.keys() == {result.source for result in known.result}
    models = {name for one in known.source.values() for name in (one.student, one.teacher)}
    assert models == known.model.keys()
    for task, counts in known.rows.items():
        assert counts.keys() == {"train", *TASKS[task].tests}
    for result in known.result:
        for task, split, metric, value in result.each():
            ours = set(TASKS[task].tests)
            hidden = {name.replace("dev", "test") for name in ours}
            assert split in (hidden if result.source == "pkd-test" else ours)
            assert task in known.rows
            assert metric in TASKS[task].metrics
            assert 1 < value <= 100


def test_no_source_says_two_things_of_one_method(known: Published) -> None:
    said = [(r.source, r.method, str(r.settings)) for r in known.result]
    assert len(set(said)) == len(said)


# --- which models are the same ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "init", "layers", "same"),
    [
        ("bert-l6", L6, 6, True),
        ("bert-l6", f"{L6} (0123456789ab)", 6, True),
        ("bert-l6", f"/models/{L6}", 6, True),
        ("bert-l6", f"someone/{L6.split('/')[1]}", 6, False),
        ("bert-l6", L6, 12, False),
        ("bert-l6", "random weights, 6 layers, 768 wide", 6, False),
        ("bert-base-first-6", FIRST_6, 6, True),
        ("bert-base-first-6", f"{BASE} (0123456789ab)@0,1,2,3,4,5", 6, True),
        ("bert-base-first-6", f"{BASE}, fine-tuned@0,1,2,3,4,5", 6, False),
        ("bert-base-first-6", f"{BASE}@0,2,4,6,8,10", 6, False),
        ("bert-base-first-6", BASE, 12, False),
        ("bert-base-first-6", L6, 6, False),
        ("bert-base", BASE, 12, True),
        ("bert-base", FIRST_6, 6, False),
        ("unstated-6", FIRST_6, 6, False),
    ],
)
def test_a_model_is_known_by_name_layers_and_size(
    known: Published, name: str, init: str, layers: int, same: bool
) -> None:
    for pooler in (False, True):
        assert known.model[name].matches(init, bert(layers, pooler=pooler)) is same


def test_the_preset_for_bert_names_models_that_are_known(known: Published) -> None:
    preset = read("preset", "glue-bert")
    teacher, student = (ModelSpec(**preset[role]["model"]) for role in ("teacher", "student"))
    assert known.model["bert-base"].matches(teacher.describe(), bert(12))
    assert known.model["bert-l6"].matches(student.describe(teacher), bert(6))
    cut = ModelSpec.parse("pretrained@0,1,2,3,4,5").describe(teacher)
    assert known.model["bert-base-first-6"].matches(cut, bert(6))


# --- beside ours -----------------------------------------------------------------------------


def trained(
    method: str, task: str = "mrpc", *, student: str = L6, value: float = 0.8, **changes: Any
) -> Record:
    """A student as the preset for BERT makes it, on all rows of GLUE."""
    rows = published().rows[task]
    made = factory.training(task, method, value=value, teacher=method != "finetune")
    assert made.training is not None
    facts: dict[str, Any] = {"student_init": student, "parameters": bert(6)}
    facts["rows"] = {"fit": rows["train"] - 300, "held_out": 300}
    facts["rows"] |= {split: count for split, count in rows.items() if split != "train"}
    if made.training.teacher:
        taught = {"init": BASE, "parameters": bert(12)}
        facts["teacher"] = made.training.teacher.model_copy(update=taught)
    own = {name: changes.pop(name) for name in list(changes) if name in TrainingResult.model_fields}
    return made.model_copy(
        update={"training": made.training.model_copy(update=facts | own), **changes}
    )


def rows(folder: Path, *records: Record) -> list[Row]:
    return shown.lines(SECTION, shown.inputs(folder, records))


def test_ours_stands_beside_the_number_of_the_same_student(tmp_path: Path) -> None:
    found = rows(tmp_path / "l6", trained("kd"))
    student = [row for row in found if row.method == "kd"]
    assert {row.metric: row.published for row in student} == pytest.approx(
        {"f1": 0.892, "accuracy": 0.852}
    )
    assert {row.tag for row in student} == {"recalled"}
    cut = [r for r in rows(tmp_path / "cut", trained("kd", student=FIRST_6)) if r.method == "kd"]
    (row,) = cut
    assert (row.tag, row.published, row.metric) == ("verified", pytest.approx(0.8284), "accuracy")
    assert row.difference == pytest.approx(0.8 - 0.8284)


@pytest.mark.parametrize(("student", "starred"), [(L6, True), (FIRST_6, False)])
def test_recalled_numbers_are_starred_and_said_to_have_no_source(
    student: str, starred: bool, tmp_path: Path
) -> None:
    (table,) = shown.tables(SECTION, shown.inputs(tmp_path, [trained("kd", student=student)]))
    own = [row for row in table.rows if row[1] != TEACHER]
    assert all(row[6].endswith(" *") is starred for row in own)
    assert all(row[6].endswith(" *") is (row[4] == "recalled") for row in table.rows)
    recalled = any(row[4] == "recalled" for row in table.rows)
    assert any("not found in a source" in note for note in table.notes) is recalled


def test_rows_stand_task_by_task_with_the_digits_that_were_printed(tmp_path: Path) -> None:
    records = [trained("kd", task, student=FIRST_6) for task in ("rte", "mrpc")]
    (table,) = shown.tables(SECTION, shown.inputs(tmp_path, records))
    headers = list(dict.fromkeys(row[0] for row in table.rows))
    assert headers == ["RTE accuracy", "MRPC accuracy", "MRPC f1"]
    assert [row[0] for row in table.rows] == sorted((r[0] for r in table.rows), key=headers.index)
    printed = {(row[0], row[1], row[3]): row[6] for row in table.rows}
    assert printed["RTE accuracy", "kd", "PKD repository"] == "67.51"
    assert printed["RTE accuracy", "teacher", "MetaDistil issue 5"] == "73.3"


MISMATCHES: dict[str, Record] = {
    "another student": trained("kd", student="org/other"),
    "a student of another size": trained("kd", parameters=bert(4)),
    "part of the rows": trained("kd", rows={"fit": 2000, "held_out": 300, "dev": 408}),
    "another test set": trained("kd", rows={"fit": 3368, "held_out": 300, "dev": 200}),
    "a variant": trained("kd-hot", base="kd"),
    "another teacher": trained(
        "kd",
        teacher=TeacherFacts(
            key="t", init=L6, scores={}, best_epoch=1, seconds=1.0, parameters=bert(6)
        ),
    ),
    "no published method": trained("own"),
    "a generated task": factory.training("tone", "kd"),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_what_differs_is_not_compared(what: str, tmp_path: Path) -> None:
    assert [row for row in rows(tmp_path, MISMATCHES[what]) if row.method != TEACHER] == []


def test_one_seed_of_another_kind_takes_the_method_out(tmp_path: Path) -> None:
    odd = trained("kd", seed=1, key="t-mrpc-kd-1", student_init="org/other")
    assert not any(row.method == "kd" for row in rows(tmp_path, trained("kd"), odd))


def test_settings_that_the_source_names_must_be_ours(tmp_path: Path) -> None:
    for layers in ("skip", "last"):
        record = trained("pkd", student=FIRST_6, settings={"layers": layers})
        found = [row for row in rows(tmp_path / layers, record) if row.method == "pkd"]
        assert [row.settings for row in found] == [f"layers {layers}"]


def test_reaugkd_is_compared_with_retrieval_and_the_others_without(tmp_path: Path) -> None:
    records = [
        trained("kd"),
        trained("reaugkd"),
        factory.retrieval(method="reaugkd", on=0.9, backend="exact"),
        factory.retrieval(method="reaugkd", on=0.95, backend="hnswlib"),
        factory.retrieval(method="kd", on=0.9, backend="exact"),
    ]
    found = rows(tmp_path, *records)
    assert {(row.method, row.retrieval) for row in found} == {
        (TEACHER, ""),
        ("kd", "off"),
        ("reaugkd", "exact"),
    }
