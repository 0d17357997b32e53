"""The card of a task's data: sizes, classes, lengths, repeated rows, and test rows in train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.tasks import carving
from reaugkd.tasks.task import TaskData

if TYPE_CHECKING:
    from datasets import Dataset
    from pandas import Series
    from transformers import PreTrainedTokenizerBase

MOST = 20_000
"""Rows of a split whose tokens are counted; of more, evenly spaced ones stand for all."""


@dataclass(frozen=True)
class TokenLengths:
    """Tokens of a row before anything is cut off, over the ``rows`` that were counted.

    ``cut`` is the share of rows that are longer than the run's ``max_length``.
    """

    rows: int
    median: int
    p95: int
    longest: int
    max_length: int
    cut: float


@dataclass(frozen=True)
class DataCard:
    """What to know of the rows of a task before anything is trained.

    Rows are the same if their texts are, but for case and spaces. ``train`` is fit and held-out.

    Attributes:
        rows: split -> number of rows.
        classes: number of classes; None for scores.
        largest, smallest: (name, rows of train) of the classes with most and fewest; for scores
            the highest and lowest.
        repeated: rows of train that repeat an earlier one.
        contradicted: of these, those with another label.
        known: test split -> rows that stand in train: a knowledge base answers them by heart.
        empty: split -> rows with an empty text; splits without any are left out.
        lengths: of all splits; None where they were not counted.
        carved: rows of the test split, of train out of which it was carved, and of train that were
            left out; None if it was not.
    """

    rows: dict[str, int]
    classes: int | None
    largest: tuple[str, float]
    smallest: tuple[str, float]
    repeated: int
    contradicted: int
    known: dict[str, int]
    empty: dict[str, int]
    lengths: TokenLengths | None = None
    carved: tuple[int, int, int] | None = None

    def lines(self) -> Iterator[str]:
        """The card in sentences."""
        yield "rows: " + ", ".join(f"{name} {count:,}" for name, count in self.rows.items())
        if self.carved is not None:
            yield carving.note(*self.carved)
        (most, high), (least, low) = self.largest, self.smallest
        if self.classes is None:
            yield f"labels: scores from {low:g} to {high:g}"
        elif high == low:
            yield f"labels: {self.classes} classes, each with {high:,.0f} rows of train"
        else:
            ratio = f", {high / low:.1f} times as many" if low else ""
            yield (
                f"labels: {self.classes} classes, from {low:,.0f} rows of train ({least}) to "
                f"{high:,.0f} ({most}){ratio}"
            )
        if (found := self.lengths) is not None:
            yield (
                f"tokens: median {found.median}, 95 % up to {found.p95}, longest {found.longest}; "
                f"{100 * found.cut:.1f} % of the rows are cut at {found.max_length}"
                + (f" (of {found.rows:,} rows)" if found.rows < sum(self.rows.values()) else "")
            )
        if self.repeated:
            others = f", {self.contradicted:,} of them with another label"
            yield f"{self.repeated:,} rows of train repeat an earlier one{others}"
        yield from self.warnings()
        for split, count in self.empty.items():
            yield f"{count:,} rows of {split} have an empty text"

    def warnings(self) -> Iterator[str]:
        """What flatters a result: sentences for whoever reads it."""
        for split, count in self.known.items():
            if count:
                share = count / self.rows[split]
                yield (
                    f"{count:,} of {self.rows[split]:,} rows of {split} ({share:.1%}) stand in "
                    "train, which flatters every model and a knowledge base most"
                )


def card(data: TaskData, counts: Mapping[str, NDArray[Any]] | None, max_length: int) -> DataCard:
    """The card of ``data``; ``counts`` are :func:`token_counts`, for rows cut at ``max_length``."""
    import pandas

    texts = {name: _texts(split) for name, split in data.splits().items()}
    labels = {name: np.asarray(split["label"][:]) for name, split in data.splits().items()}
    train = pandas.DataFrame(
        {
            "text": pandas.concat([texts["fit"], texts["held_out"]], ignore_index=True),
            "label": np.concatenate([labels["fit"], labels["held_out"]]),
        }
    )
    repeats = train["text"].duplicated()
    whole = train.duplicated()  # with its label
    known = set(train["text"])
    largest, smallest = _extremes(data, train["label"].to_numpy())
    return DataCard(
        rows={name: len(split) for name, split in data.splits().items()},
        classes=None if data.task.regression else data.task.outputs,
        largest=largest,
        smallest=smallest,
        repeated=int(repeats.sum()),
        contradicted=int((repeats & ~whole).sum()),
        known={name: int(texts[name].isin(known).sum()) for name in data.tests},
        empty={name: count for name, split in data.splits().items() if (count := _empty(split))},
        lengths=None if counts is None else _lengths(counts, max_length),
        carved=(len(data.tests[carving.TEST]), data.train_rows, data.left_out)
        if data.carved
        else None,
    )


def _texts(split: Dataset) -> Series[str]:
    """The text of every row, both of a pair, without case and further spaces."""
    import pandas

    columns = [split[name][:] for name in ("text_a", "text_b") if name in split.column_names]
    rows = zip(*columns, strict=True)
    return pandas.Series(
        ["\n".join(" ".join(text.casefold().split()) for text in row) for row in rows], dtype=object
    )


def _empty(split: Dataset) -> int:
    columns = [split[name][:] for name in ("text_a", "text_b") if name in split.column_names]
    return sum(not all(text.strip() for text in row) for row in zip(*columns, strict=True))


def _extremes(data: TaskData, labels: NDArray[Any]) -> tuple[tuple[str, float], tuple[str, float]]:
    if data.task.regression:
        return ("highest", float(labels.max())), ("lowest", float(labels.min()))
    counts = np.bincount(labels, minlength=data.task.outputs)
    most, least = int(counts.argmax()), int(counts.argmin())
    names = data.task.labels
    return (names[most], float(counts[most])), (names[least], float(counts[least]))


def _lengths(counts: Mapping[str, NDArray[Any]], max_length: int) -> TokenLengths:
    every = np.concatenate(list(counts.values()))
    median, p95 = np.percentile(every, [50, 95], method="inverted_cdf")
    return TokenLengths(
        rows=len(every),
        median=int(median),
        p95=int(p95),
        longest=int(every.max()),
        max_length=max_length,
        cut=float(np.mean(every > max_length)),
    )


def token_counts(
    data: TaskData, tokenizer: PreTrainedTokenizerBase
) -> dict[str, NDArray[np.int64]]:
    """Split -> the tokens of its rows [n], nothing cut off; of at most :data:`MOST` rows each."""
    counts = {}
    for name, split in data.splits().items():
        step = -(-len(split) // MOST)
        part = split[::step] if step > 1 else split[:]
        texts = [part[column] for column in ("text_a", "text_b") if column in part]
        tokens = tokenizer(*map(list, texts), verbose=False)["input_ids"]
        counts[name] = np.array([len(ids) for ids in tokens], dtype=np.int64)
    return counts
