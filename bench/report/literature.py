"""Published numbers beside ours, where student, teacher, split and metric are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.records.run import Record, TrainingResult
from bench.report.published import Published, Result
from bench.report.results import Results
from bench.report.scores import MAJORITY, OFF, TEACHER, Score
from bench.report.summary import Summary, points
from bench.report.table import EMPTY, Table

UNTAUGHT = "finetune"
"""The method without a teacher."""
SAME_ROWS = 0.01
"""How far numbers of rows may differ: damaged rows are skipped."""


@dataclass(frozen=True)
class Beside:
    """A published number beside ours, by one metric of one test split.

    Attributes:
        header: how the task's column of scores is headed.
        settings: of the method, that the source names.
        retrieval: the index, ``off``, or empty for the teacher.
        ours: over seeds, a share.
        published: a share.
        difference: mean of ours minus published.
        source, tag: where it is from, and ``verified`` or ``recalled``.
    """

    task: str
    header: str
    split: str
    metric: str
    method: str
    settings: str
    retrieval: str
    ours: Summary
    published: float
    difference: float | None
    source: str
    tag: str
    student: str
    teacher: str


def beside(results: Results, found: Iterable[Score], known: Published) -> list[Beside]:
    """The published numbers that this run may be compared with.

    Task by task in the order of the scores, within a task and metric in the order of the file.

    Every seed of a method must match: student, teacher (of a method that has one), settings where
    the source names them, and the number of rows of train and test. Variants of a method (of other
    names) are not compared.
    """
    ours: dict[tuple[str, str, str, str, bool], Score] = {}
    tasks: dict[str, None] = {}
    for one in found:
        tasks.setdefault(one.task)
        if one.test and one.method != MAJORITY:
            state = one.retrieval not in ("", OFF)
            if state and one.retrieval != results.first_index(one.task, one.method):
                continue  # of several indexes the first of the plan, not the best
            at = (one.method, one.task, one.split, one.metric, state)
            ours[at] = one
    trained: dict[tuple[str, str], list[tuple[Record, TrainingResult]]] = {}
    for record, training in results.trained:
        if training.teacher:
            trained.setdefault((TEACHER, record.task), []).append((record, training))
        if record.method == record.base:
            trained.setdefault((record.method, record.task), []).append((record, training))
    rows = []
    for result in known.result:
        for task, split, metric, value in result.each():
            score = ours.get((result.method, task, split, metric, result.retrieval))
            runs = trained.get((result.method, task), [])
            if score is not None and runs and all(_matches(run, result, known) for run in runs):
                rows.append(_beside(score, result, known, value / 100))
    places = list(tasks)
    headers = list(dict.fromkeys(row.header for row in rows))
    return sorted(rows, key=lambda row: (places.index(row.task), headers.index(row.header)))


def _matches(run: tuple[Record, TrainingResult], result: Result, known: Published) -> bool:
    record, training = run
    source, taught = known.source[result.source], training.teacher
    student, teacher = known.model[source.student], known.model[source.teacher]
    if not _same_rows(training.rows, known.rows[record.task]):
        return False
    if result.method != UNTAUGHT and (
        taught is None or not teacher.matches(taught.init, taught.parameters)
    ):
        return False
    if result.method == TEACHER:
        return True
    return student.matches(training.student_init, training.parameters) and all(
        record.settings.get(name) == value for name, value in result.settings.items()
    )


def _same_rows(rows: dict[str, int], official: dict[str, int]) -> bool:
    own = rows | {"train": rows.get("fit", 0) + rows.get("held_out", 0)}
    return all(
        abs(own.get(split, 0) - count) <= SAME_ROWS * count for split, count in official.items()
    )


def _beside(score: Score, result: Result, known: Published, value: float) -> Beside:
    source, mean = known.source[result.source], score.value.mean
    return Beside(
        task=score.task,
        header=score.header,
        split=score.split,
        metric=score.metric,
        method=score.method,
        settings=", ".join(f"{name} {chosen}" for name, chosen in result.settings.items()),
        retrieval=score.retrieval,
        ours=score.value,
        published=value,
        difference=None if mean is None else mean - value,
        source=source.label,
        tag=source.tag,
        student="" if result.method == TEACHER else known.model[source.student].title,
        teacher="" if result.method == UNTAUGHT else known.model[source.teacher].title,
    )


def published_table(found: Sequence[Beside], known: Published) -> Table:
    """Ours and theirs; recalled numbers carry a star."""
    rows = tuple(
        (
            row.header,
            f"{row.method}, {row.settings}" if row.settings else row.method,
            row.retrieval or EMPTY,
            row.source,
            row.tag,
            f"{points(row.ours)} ({row.ours.n})",
            _printed(row.published) + (" *" if row.tag == "recalled" else ""),
            EMPTY if row.difference is None else f"{100 * row.difference:+z.2f}",
        )
        for row in found
    )
    columns = ("task", "method", "retrieval", "source", "tag", "ours", "published", "difference")
    return Table("Beside published numbers", columns, rows, 5, tuple(_notes(found, known)))


def _printed(share: float) -> str:
    """Points with the digits that were printed: one or two."""
    tenth = f"{100 * share:.1f}"
    return tenth if abs(float(tenth) - 100 * share) < 1e-6 else f"{100 * share:.2f}"


def _notes(found: Sequence[Beside], known: Published) -> Iterator[str]:
    yield (
        "GLUE dev, in percent. Shown where student, teacher, split and metric agree. Ours: mean ± "
        "sd (n seeds), trained without the held-out rows, every choice made on them. Published "
        "numbers come from other recipes, and most of them chose on dev. difference = ours - "
        "published; it is no test."
    )
    if any(row.tag == "recalled" for row in found):
        yield "* recalled: from memory, not found in a source. Check before quoting."
    shown = {row.source for row in found}
    for source in known.source.values():
        if source.label in shown:
            student, teacher = known.model[source.student], known.model[source.teacher]
            note = f" Note: {source.note}." if source.note else ""
            yield (
                f"{source.label} ({source.tag}): {source.title}. Student: {student.title}; "
                f"teacher: {teacher.title}.{note}"
            )
