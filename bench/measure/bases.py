"""Knowledge bases to measure on: generated ones of any size with the structure of real ones.

Their embeddings are those of :mod:`reaugkd.retrieval.clusters`, with duplicates, as training sets
hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from bench.records.measurement import Reduction, width
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import clusters
from reaugkd.retrieval.clusters import Clusters
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import probabilities

GLUE = {
    "wnli": (635, 2),
    "rte": (2_490, 2),
    "mrpc": (3_668, 2),
    "stsb": (5_749, 1),
    "cola": (8_551, 2),
    "sst2": (67_349, 2),
    "qnli": (104_743, 2),
    "qqp": (363_846, 2),
    "mnli": (392_702, 3),
}
"""Rows of train and width of the soft labels of the nine tasks, smallest first."""

DUPLICATES = 0.02
QUERIES = 2_000
_BLOCK = 32_768
_QUERY_FILE = "queries.safetensors"


@dataclass(frozen=True, eq=False)
class BaseSource:
    """A knowledge base with queries that are not in it; made, if need be, when it is first used.

    Attributes:
        generated: whether it is made here.
        identity: plain JSON that decides all of it.
        files: makes or finds the folder that :meth:`KnowledgeBase.load` reads, and a safetensors
            file of ``queries`` and ``student``.
        reduction: what was done to it, None for nothing.
    """

    name: str
    size: int
    dim: int
    classes: int
    generated: bool
    identity: Mapping[str, Any]
    files: Callable[[], tuple[Path, Path]]
    reduction: Reduction | None = None

    @property
    def width(self) -> int:
        """Of the keys; ``dim`` is that of the queries."""
        return width(self.dim, self.reduction)

    @cached_property
    def _files(self) -> tuple[Path, Path]:
        return self.files()

    @property
    def folder(self) -> Path:
        """Of the knowledge base."""
        return self._files[0]

    @property
    def queries_file(self) -> Path:
        """Holds :attr:`queries` and :attr:`student`."""
        return self._files[1]

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return load_file(self.queries_file)

    @property
    def queries(self) -> NDArray[np.float32]:
        """[m, d]: a student's embeddings, not normalised."""
        return self._arrays["queries"]

    @property
    def student(self) -> NDArray[np.float32]:
        """[m, C]: the student's own distributions (scores where C = 1)."""
        return self._arrays["student"]


def parse(text: str) -> tuple[str, int, int]:
    """Name, entries and classes of a base on the command line: a GLUE task or a number.

    >>> parse("mrpc"), parse("20000")
    (('mrpc', 3668, 2), ('20000', 20000, 2))

    Raises:
        UnknownNameError: for any other name, with the nearest.
        UserError: for a number below 1.
    """
    name = text.strip().lower().replace("-", "").replace("_", "")
    if name in GLUE:
        return name, *GLUE[name]
    if not text.strip().isdigit():
        raise UnknownNameError("knowledge base size", text, [*GLUE, "a number"])
    if int(name) < 1:
        raise UserError(f"a knowledge base has at least 1 entry, got {text}")
    return name, int(name), 2


def generated(
    store: ArtifactStore, text: str, dim: int, reporter: Reporter | None = None
) -> BaseSource:
    """The generated base of a size and a width.

    Raises:
        UserError: as :func:`parse`.
    """
    name, size, classes = parse(text)
    reporter = reporter or Silent()
    structure = [clusters.RANK, clusters.DECAY, clusters.NOISE, clusters.SEPARATION]
    structure += [DUPLICATES, QUERIES]
    identity = {"size": size, "dim": dim, "classes": classes, "structure": structure}

    def build(folder: Path) -> None:
        space = Clusters(dim, classes)
        reporter.start(f"{name}: generating {size:,} embeddings", size, "vectors")
        keys = np.empty((size, dim), np.float32)
        values = np.empty((size, classes), np.float32)
        for number, start in enumerate(range(0, size, _BLOCK)):
            part = slice(start, min(size, start + _BLOCK))
            keys[part], logits = space.draw(part.stop - part.start, seed=number + 1)
            values[part] = probabilities(3.0 * logits)
            reporter.advance(part.stop - part.start)
        copies = np.random.default_rng(0).integers(0, size, (2, int(DUPLICATES * size)))
        keys[copies[0]], values[copies[0]] = keys[copies[1]], values[copies[1]]
        KnowledgeBase.build(keys, values, np.arange(size), identity).save(folder)
        queries, logits = space.draw(QUERIES, seed=0)
        save_file({"queries": queries, "student": probabilities(logits)}, folder / _QUERY_FILE)
        reporter.finish()

    def files() -> tuple[Path, Path]:
        folder = store.get("generated-base", identity, build).path
        return folder, folder / _QUERY_FILE

    return BaseSource(name, size, dim, classes, True, {"generated": identity}, files)
