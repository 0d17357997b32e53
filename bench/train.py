"""A classifier from texts in memory: what ``bench run`` does for one cell, without its folder.

``RetrievalAugmentedClassifier.train`` comes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bench import export, facts, layers, plan
from bench.config import RunConfig
from bench.executors.quiet import limit_threads, quieten
from bench.pipeline import precision
from bench.pipeline.workbench import Workbench
from bench.settings import resolve
from bench.task import own_data, task_of
from reaugkd import surroundings, tasks
from reaugkd.artifacts.cache import default_cache
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import DataError, UserError
from reaugkd.models.spec import ModelSpec
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import texts as given
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.tasks import own

Rows = tuple[Iterable[Any], Iterable[Any]]
"""Texts and their labels."""

TEXT, PAIR, LABEL = ("text",), ("first", "second"), "label"
COMMAND = "RetrievalAugmentedClassifier.train"


class TrainingError(UserError):
    """A teacher, student or knowledge base that could not be made; the message says why."""


class LabelledTexts(NamedTuple):
    """Rows that have been read: each text is one sentence or a pair; labels are as written."""

    texts: list[tuple[str, ...]]
    labels: list[str]


def train(
    texts: Iterable[Any],
    labels: Iterable[Any],
    *,
    teacher: str,
    student: str,
    method: str = "reaugkd",
    ann: str = "exact",
    condense: str = "full",
    held_out: Rows | None = None,
    classes: Sequence[Any] = (),
    seed: int = 0,
    keep_texts: bool = False,
    settings: Mapping[str, Any] | None = None,
    threads: int | None = None,
    cache: Path | str | None = None,
    reporter: Reporter | None = None,
) -> RetrievalAugmentedClassifier:
    """See :meth:`reaugkd.RetrievalAugmentedClassifier.train`."""
    part = _part(texts, labels, "")
    rows = {"train": part}
    if held_out is not None:
        rows["held_out"] = _part(*held_out, "held_out: ")
    for name, other in rows.items():
        if len(other.texts[0]) != len(part.texts[0]):
            raise DataError(f"{name}: texts are single sentences in one part, pairs in the other")
    tree: dict[str, Any] = {
        "methods": [method],
        "seeds": [seed],
        "teacher": {"model": ModelSpec.parse(teacher).model_dump(exclude_none=True)},
        "student": {"model": ModelSpec.parse(student).model_dump(exclude_none=True)},
        "retrieval": {"methods": "all", "ann": [ann], "condense": [condense]},
    }
    if threads is not None:
        tree["threads"] = threads
    listener = reporter or Silent()
    with TemporaryDirectory(prefix="reaugkd-") as folder, _threads():
        data = _written(Path(folder), rows)
        if classes:
            data |= {"kind": "classes", "labels": own.written(list(classes), LABEL, "classes")}
        config = _resolved({**tree, "data": data}, settings or {})
        if held_out is None:
            _hold_out(config, part, Path(data["test"]))
        quieten()
        surroundings.require_exact()
        limit_threads(config.threads)
        store = ArtifactStore(Path(cache) if cache else default_cache(), listener)
        workbench = Workbench(store, listener, COMMAND)
        decided = precision.decide({config.tasks[0]: config}, workbench, {}, may_time=True)
        return _trained(decided.tasks[config.tasks[0]], workbench, keep_texts)


def _trained(
    config: RunConfig, workbench: Workbench, keep_texts: bool
) -> RetrievalAugmentedClassifier:
    cells = plan.make({config.tasks[0]: config}, workbench)
    if len(cells) != 2:
        raise UserError(
            f"the settings make {len(cells)} cells, one student with one knowledge base is two: "
            "give one value of each axis"
        )
    training = None
    for cell in cells:
        record, _ = workbench.run(cell)
        if record.status != "ok":
            raise TrainingError(f"{cell.label}: {record.reason}")
        training = record.training or training
    known = facts.of_cell(record, training, in_memory=True)
    return export.classifier(cells[-1], record, workbench, texts=keep_texts, known=known)


def _part(texts: Iterable[Any], labels: Iterable[Any], where: str) -> LabelledTexts:
    """Texts and labels as they are written to a file; a DataError names what is wrong."""
    read, values = given.read_texts(texts), given.in_order(labels, "labels")
    if len(read) != len(values):
        raise DataError(f"{where}{len(read)} texts, but {len(values)} labels")
    if not read:
        raise DataError(f"{where}no texts, at least two are needed")
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    return LabelledTexts(read, own.written(plain, LABEL, f"{where}labels"))


def _written(folder: Path, rows: Mapping[str, LabelledTexts]) -> dict[str, Any]:
    """The parts as files below ``folder``, and the settings that name them."""
    for name, part in rows.items():
        _write(folder / f"{name}.parquet", part)
    columns = PAIR if len(rows["train"].texts[0]) == 2 else TEXT
    paths = {name: str(folder / f"{name}.parquet") for name in rows}
    test = paths.get("held_out", str(folder / "test.parquet"))
    return {**paths, "test": test, "text": list(columns), "label": LABEL, "name": "texts"}


def _write(path: Path, part: LabelledTexts) -> None:
    names = PAIR if len(part.texts[0]) == 2 else TEXT
    columns = dict(zip(names, map(list, zip(*part.texts, strict=True)), strict=True))
    pq.write_table(pa.table({**columns, LABEL: part.labels}), path)


def _resolved(tree: Mapping[str, Any], more: Mapping[str, Any]) -> RunConfig:
    resolved = resolve([layers.read("preset", "own"), tree, more])
    return next(iter(resolved.tasks.values()))


def _hold_out(config: RunConfig, part: LabelledTexts, path: Path) -> None:
    """Write the rows that the division of train will hold out, as those that are scored once.

    Nothing else is there to be scored, and the answers to held-out rows are made anyway.
    """
    data = own_data(config.data)
    assert data is not None
    data = own.OwnData(data.train, data.train, data.text, data.label)
    divided = tasks.load(
        task_of(config), own=data, limit=config.data.limit, split_seed=config.data.split_seed
    )
    rows = [int(row) for row in divided.held_out["idx"]]
    _write(
        path, LabelledTexts([part.texts[row] for row in rows], [part.labels[row] for row in rows])
    )


@contextmanager
def _threads() -> Iterator[None]:
    """Torch's number of threads as it was."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
