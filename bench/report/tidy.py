"""Every score as one row: the form for spreadsheets and data frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from bench.records.run import Choice, Record, RetrievalResult, Scores, TrainingResult
from bench.report.results import Results

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Row:
    """One cell, split and metric, with retrieval ``off`` or ``on``.

    A training cell has only ``off``; a retrieval cell repeats its student's scores as ``off``.
    """

    key: str
    kind: str
    suite: str
    task: str
    method: str
    seed: int
    student: str | None
    teacher: str | None
    backend: str | None
    keys: str | None
    values: str | None
    share: float | None
    control: str | None
    retrieval: str
    k: int | None
    beta: float | None
    tau: float | None
    split: str
    metric: str
    selects: bool
    value: float | None


def rows(results: Results) -> list[Row]:
    """All rows: students in the order of the plan, then what retrieval makes of them."""
    students = {record.key: training for record, training in results.trained}
    found: list[Row] = []
    for record, training in results.trained:
        found += _rows(record, training, training.scores)
    for record, result in results.retrieved:
        student = students.get(result.training_key)
        found += _rows(record, student, result.off, result)
        found += _rows(record, student, result.chosen.scores, result, result.chosen)
    return found


def _rows(
    record: Record,
    student: TrainingResult | None,
    scores: dict[str, Scores],
    result: RetrievalResult | None = None,
    choice: Choice | None = None,
) -> Iterator[Row]:
    for split, by_metric in scores.items():
        for metric, value in by_metric.items():
            yield Row(
                key=record.key,
                kind=record.kind,
                suite=record.suite,
                task=record.task,
                method=record.method,
                seed=record.seed,
                student=student.student_init if student else None,
                teacher=student.teacher.init if student and student.teacher else None,
                backend=result.backend if result else None,
                keys=result.keys if result else None,
                values=result.values if result else None,
                share=result.share if result else None,
                control=result.control if result else None,
                retrieval="on" if choice else "off",
                k=choice.k if choice else None,
                beta=choice.beta if choice else None,
                tau=choice.tau if choice else None,
                split=split,
                metric=metric,
                selects=metric == record.select_on,
                value=value if math.isfinite(value) else None,
            )


def frame(found: list[Row]) -> pandas.DataFrame:
    """The rows as a data frame; whole numbers stay whole where some are missing, others never."""
    import pandas

    names = [field.name for field in fields(Row)]
    floats = {field.name: "Float64" for field in fields(Row) if "float" in str(field.type)}
    frame = pandas.DataFrame([asdict(row) for row in found], columns=names)
    return frame.convert_dtypes().astype(floats)


def as_csv(found: list[Row]) -> str:
    """CSV with a header; numbers in full precision, nothing for None."""
    text: str = frame(found).to_csv(index=False)
    return text


def as_parquet(found: list[Row]) -> bytes:
    """Parquet with the same columns, numbers and gaps as the CSV."""
    import io

    file = io.BytesIO()
    frame(found).to_parquet(file, index=False)
    return file.getvalue()
