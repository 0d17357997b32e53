"""Published numbers beside ours, where student, teacher, split and metric are the same.

A row per published number that this run may be compared with: every seed of the method must match
in student, teacher (of a method that has one), settings where the source names them, and number of
rows of train and test. Variants of a method (of other names) are not compared. ``retrieval``: the
index, ``off``, or empty for the teacher; ``ours``: over seeds; ``difference``: mean of ours minus
``published``; ``source`` and ``tag``: where it is from, and ``verified`` or ``recalled``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pandas import DataFrame

from bench.records.run import Record, TrainingResult
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.published import Published, Result, published
from bench.report.scores import MAJORITY, OFF, TEACHER
from bench.report.section import RETRIEVAL, Column, Section
from bench.report.sections import scores
from bench.report.sections.plain import grouped, labels, one_table
from bench.report.summary import points
from bench.report.verdict import signed

UNTAUGHT = "finetune"
"""The method without a teacher."""
SAME_ROWS = 0.01
"""How far numbers of rows may differ: damaged rows are skipped."""


def _rows(inputs: RunInputs) -> DataFrame:
    """Task by task in the order of the scores, within a task and metric in that of the file."""
    known, scored, trained = published(), rows(inputs.frame(scores.SECTION)), inputs.results.trained
    ours = {
        (row.method, row.task, row.split, row.metric, row.retrieval not in ("", OFF)): row
        for row in scored
        if row.test and row.method != MAJORITY
        # of several indexes the first of the plan, not the best
        if row.retrieval in ("", OFF, inputs.results.first_index(row.task, row.method))
    }
    runs = grouped(
        ((r.method, r.task), (r, student)) for r, student in trained if r.method == r.base
    )
    runs |= grouped(((TEACHER, r.task), (r, student)) for r, student in trained if student.teacher)
    beside = [
        _beside(score, result, known, value / 100)
        for result in known.result
        for task, split, metric, value in result.each()
        if (score := ours.get((result.method, task, split, metric, result.retrieval)))
        and (seeds := runs.get((result.method, task)))
        and all(_matches(*seed, result, known) for seed in seeds)
    ]
    tasks = list(dict.fromkeys(row.task for row in scored))
    headers = list(dict.fromkeys(row["header"] for row in beside))
    beside.sort(key=lambda row: (tasks.index(row["task"]), headers.index(row["header"])))
    return typed(beside)


def _matches(record: Record, training: TrainingResult, result: Result, known: Published) -> bool:
    source, taught = known.source[result.source], training.teacher
    student, teacher = known.model[source.student], known.model[source.teacher]
    train = training.rows.get("fit", 0) + training.rows.get("held_out", 0)
    ours = training.rows | {"train": train}
    rows = all(
        abs(ours.get(split, 0) - count) <= SAME_ROWS * count
        for split, count in known.rows[record.task].items()
    )
    same_teacher = result.method == UNTAUGHT or bool(
        taught and teacher.matches(taught.init, taught.parameters)
    )
    same_student = result.method == TEACHER or (
        student.matches(training.student_init, training.parameters)
        and all(record.settings.get(name) == value for name, value in result.settings.items())
    )
    return rows and same_teacher and same_student


def _beside(score: Row, result: Result, known: Published, value: float) -> dict[str, Any]:
    source, mean = known.source[result.source], score.value.mean
    about = ("task", "header", "split", "metric", "method", "retrieval")
    return {
        **{name: getattr(score, name) for name in about},
        "settings": ", ".join(f"{name} {chosen}" for name, chosen in result.settings.items()),
        "ours": vars(score.value),
        "published": value,
        "difference": None if mean is None else mean - value,
        "source": source.label,
        "tag": source.tag,
        "student": "" if result.method == TEACHER else known.model[source.student].title,
        "teacher": "" if result.method == UNTAUGHT else known.model[source.teacher].title,
    }


COLUMNS = (
    Column("task", "header", label=True, keys=("task",)),
    Column(
        "method",
        lambda row: ", ".join(filter(None, (row.method, row.settings))),
        label=True,
        keys=("method",),
    ),
    RETRIEVAL,
    *labels("source", "tag"),
    Column("ours", "ours", lambda ours: f"{points(ours)} ({ours.n})"),
    Column("published", lambda row: _printed(row.published) + " *" * (row.tag == "recalled")),
    Column("difference", "difference", signed),
)


def _printed(share: float) -> str:
    """Points with the digits that were printed: one or two."""
    tenth = f"{100 * share:.1f}"
    return tenth if abs(float(tenth) - 100 * share) < 1e-6 else f"{100 * share:.2f}"


def _notes(frame: DataFrame) -> Iterator[str]:
    yield (
        "GLUE dev, in percent. Shown where student, teacher, split and metric agree. Ours: mean ± "
        "sd (n seeds), trained without the held-out rows, every choice made on them. Published "
        "numbers come from other recipes, and most of them chose on dev. difference = ours - "
        "published; it is no test."
    )
    if (frame["tag"] == "recalled").any():
        yield "* recalled: from memory, not found in a source. Check before quoting."
    numbers = published()
    for source in numbers.source.values():
        if (frame["source"] == source.label).any():
            student, teacher = numbers.model[source.student], numbers.model[source.teacher]
            note = f" Note: {source.note}." if source.note else ""
            yield (
                f"{source.label} ({source.tag}): {source.title}. Student: {student.title}; "
                f"teacher: {teacher.title}.{note}"
            )


SECTION: Section[RunInputs] = Section(
    "published",
    "Published numbers",
    _rows,
    one_table("Beside published numbers", COLUMNS, _notes),
)
