"""A user's own rows as a task: classes or scores, their names, and what is wrong with a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reaugkd.errors import DataError
from reaugkd.paths import expanded
from reaugkd.tasks import sources
from reaugkd.tasks.delimited import Dialect
from reaugkd.tasks.task import Task

if TYPE_CHECKING:
    from reaugkd.tasks.corpus import Corpus

SUITE = "own"
TESTS = ("test",)
SPLITS = {"train": "train", "held_out": "validation", "test": "test"}
"""Part -> the split of a data set on the hub that it is, unless another is named."""

Kind = Literal["classes", "score"]

FEW, MANY = 10, 100
"""Up to FEW distinct numbers with decimals, or more than MANY whole ones, may be either kind."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class OwnData:
    """Where a user's rows lie and how they are read.

    Attributes:
        train, test, held_out: files, or ``hub:NAME[:SPLIT]``; without ``held_out`` a part of train
            is held out, without ``test`` a test split has to be carved out of train.
        text: the column of the text, or the two of a pair.
        label: the column of the label.
    """

    train: str
    test: str | None
    text: tuple[str, ...]
    label: str
    held_out: str | None = None
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def parts(self) -> dict[str, str]:
        """Part of the data -> its source; ``train`` first."""
        parts = {"train": self.train, "held_out": self.held_out, "test": self.test}
        return {part: source for part, source in parts.items() if source is not None}


class Labels(NamedTuple):
    """What the labels of some rows are: their kind, and the names of classes in their order."""

    kind: Kind
    names: tuple[str, ...]


def name_of(train: str) -> str:
    """The name of the task whose rows lie in ``train``: the file's, or the folder's of train.csv.

    >>> name_of("data/banking77/train.csv"), name_of("reviews.csv"), name_of("hub:org/imdb:train")
    ('banking77', 'reviews', 'imdb')
    """
    if train.startswith(sources.HUB):
        stem = train.removeprefix(sources.HUB).partition(":")[0].rpartition("/")[2]
    else:
        path = expanded(train)
        stem = path.stem
        if stem.lower() in ("train", "training", "data"):
            stem = path.resolve().parent.name or stem
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "own"


def survey(data: OwnData, kind: Kind | None = None, names: Sequence[str] = ()) -> Labels:
    """What the labels of train are; reads that column alone.

    ``kind`` and ``names`` (of classes, in the order of their ids) are found unless they are given.
    A DataError tells of a row without a label, or asks where either kind is possible.
    """
    column = sources.read(data.train, [data.label], data.dialect, SPLITS["train"])[data.label]
    labels = written(column, data.label, data.train)
    if not labels:
        raise DataError(f"{data.train}: no rows, at least two are needed")
    kind = kind or kind_of(labels, f"{data.train}: column '{data.label}'")
    if kind == "score":
        return Labels(kind, ())
    found = tuple(names) or tuple(sorted(set(labels), key=_order(labels)))
    if len(found) < 2:
        raise DataError(f"{data.train}: column '{data.label}' has one class only, '{found[0]}'")
    return Labels(kind, found)


def _order(labels: Sequence[str]) -> Any:
    """The key by which class names are sorted: as numbers if all are, else as text."""
    numeric = all(NUMBER.fullmatch(label) for label in labels)
    return (lambda label: (float(label), label)) if numeric else (lambda label: label)


def kind_of(labels: Sequence[str], where: str) -> Kind:
    """Whether labels are classes or scores: scores are numbers, many of them, with decimals.

    >>> kind_of(["1", "0", "1"], "x"), kind_of([f"{n / 8}" for n in range(99)], "x")
    ('classes', 'score')
    """
    distinct = set(labels)
    which = "say which: --set data.kind=classes or --set data.kind=score"
    if all(NUMBER.fullmatch(label) for label in distinct):
        whole = all(float(label).is_integer() for label in distinct)
        if not whole and len(distinct) > FEW:
            return "score"
        if not whole or len(distinct) > MANY:
            numbers = "whole numbers" if whole else "numbers, some with decimals"
            raise DataError(f"{where} holds {len(distinct):,} different {numbers}; {which}")
    if len(labels) > 2 * FEW and 2 * len(distinct) > len(labels):
        raise DataError(
            f"{where} holds {len(distinct):,} different values in {len(labels):,} rows, too many "
            "for classes: is it the column of the label? If so, --set data.kind=classes"
        )
    return "classes"


def written(values: Sequence[Any], column: str, where: str) -> list[str]:
    """Labels as text: whole numbers without decimals, spaces around names left out.

    A DataError names the row without a label, or with something that is none.

    >>> written([1, 2.0, True, " a "], "label", "x")
    ['1', '2', 'True', 'a']
    """
    labels = []
    for row, value in enumerate(values, start=1):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not (value is None or isinstance(value, str | int | float)):
            kind = type(value).__name__
            raise DataError(f"{where}, row {row}: column '{column}' holds no label but a {kind}")
        missing = value is None or (isinstance(value, float) and isnan(value))
        text = "" if missing else str(value).strip()
        if text.lower() in ("", "nan"):
            raise DataError(f"{where}, row {row}: no label in column '{column}'")
        labels.append(text)
    return labels


def task(name: str, *, pair: bool, labels: Sequence[str], tests: tuple[str, ...] = TESTS) -> Task:
    """The task of rows with such labels; without names of classes they are scores."""
    metrics = ("accuracy", "f1_macro") if labels else ("pearson", "spearman")
    return Task(name, name, SUITE, pair, tuple(labels), metrics, metrics[0], tests)


def corpus(data: OwnData, spec: Task) -> Corpus:
    """All rows of ``data`` as those of the task ``spec``.

    A DataError names the file and the row, counted from 1, of what is no text, no label or no
    class of train. An empty text is a text.
    """
    from reaugkd.tasks.corpus import Corpus, table

    tables = {}
    for part, source in data.parts.items():
        columns = sources.read(source, [*data.text, data.label], data.dialect, SPLITS[part])
        texts = [_texts(columns[name], name, source) for name in data.text]
        labels = written(columns[data.label], data.label, source)
        values = _scores(labels, source) if spec.regression else _ids(labels, spec, source)
        tables[part] = table(spec, texts, values, where=source)
    if not spec.regression:
        seen = set(tables["train"]["label"].to_pylist())
        if absent := [name for i, name in enumerate(spec.labels) if i not in seen]:
            raise DataError(f"{data.train}: no row of class '{absent[0]}', which data.labels has")
    files = (
        source if source.startswith(sources.HUB) else Path(source).name
        for source in data.parts.values()
    )
    what = "scores" if spec.regression else f"{len(spec.labels)} classes"
    return Corpus(
        spec,
        tables["train"],
        {name: tables[name] for name in spec.tests},
        source=", ".join(files),
        notes=(f"labels of column '{data.label}' are {what}",),
        held_out=tables.get("held_out"),
        rare=True,
    )


def _texts(values: Sequence[Any], column: str, where: str) -> list[str]:
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str):
            shown = "nothing" if value is None else f"{value!r}"
            raise DataError(
                f"{where}, row {row}: expected a text in column '{column}', found {shown}"
            )
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{where}, row {row}: column '{column}' holds half a surrogate pair, which is no "
                "character"
            ) from error
    return list(values)


def _scores(labels: Sequence[str], where: str) -> list[float]:
    for row, label in enumerate(labels, start=1):
        if not NUMBER.fullmatch(label):
            raise DataError(f"{where}, row {row}: expected a score like 3.5, found '{label}'")
    return [float(label) for label in labels]


def _ids(labels: Sequence[str], spec: Task, where: str) -> list[float]:
    ids = {name: number for number, name in enumerate(spec.labels)}
    for row, label in enumerate(labels, start=1):
        if label not in ids:
            near = get_close_matches(label, spec.labels, n=1, cutoff=0.5)
            hint = f": did you mean '{near[0]}'?" if near else ""
            raise DataError(
                f"{where}, row {row}: label '{label}' is none of the {len(ids)} classes of "
                f"train{hint}"
            )
    return [ids[label] for label in labels]
