"""Knowledge bases to measure on: generated ones of any size with the structure of real ones.

A fine-tuned teacher's embeddings are a few class clusters with a spread of low rank around them,
and training sets hold duplicates. White noise has none of this and would flatter or punish graph
indexes without meaning anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.reporter import Reporter, Silent
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

RANK, DECAY, NOISE = 24, 0.85, 0.1
"""The spread within a class: directions, how each shrinks against the one before, and the rest."""

SEPARATION = 2.0
"""Distance of class centres in standard deviations of the first direction of the spread."""

DUPLICATES = 0.02
QUERIES = 2_000
_BLOCK = 32_768
_QUERY_FILE = "queries.safetensors"


@dataclass(frozen=True, eq=False)
class Source:
    """A knowledge base on disk with queries that are not in it.

    Attributes:
        name: as the cell shows it.
        folder: what :meth:`KnowledgeBase.load` reads.
        queries: [m, d] float32, a student's embeddings, not normalised.
        student: [m, C] float32, its own distributions (scores where C = 1).
        identity: plain JSON that decides all of them.
        generated: whether it was made here.
        size, dim, classes: n, d and C.
    """

    name: str
    folder: Path
    queries: NDArray[np.float32]
    student: NDArray[np.float32]
    identity: Mapping[str, Any]
    generated: bool
    size: int
    dim: int
    classes: int


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


def generated_identity(size: int, dim: int, classes: int) -> dict[str, dict[str, Any]]:
    """What decides a generated base; it need not be made yet."""
    structure = [RANK, DECAY, NOISE, SEPARATION, DUPLICATES, QUERIES]
    return {"generated": {"size": size, "dim": dim, "classes": classes, "structure": structure}}


def generated(
    store: ArtifactStore, text: str, dim: int, reporter: Reporter | None = None
) -> Source:
    """The generated base of a size, made once.

    Raises:
        UserError: as :func:`parse`.
    """
    name, size, classes = parse(text)
    identity = generated_identity(size, dim, classes)

    def build(folder: Path) -> None:
        space = _Space(dim, classes)
        told = reporter or Silent()
        told.start(f"{name}: generating {size:,} embeddings", size, "vectors")
        keys = np.empty((size, dim), np.float32)
        values = np.empty((size, classes), np.float32)
        for number, start in enumerate(range(0, size, _BLOCK)):
            part = slice(start, min(size, start + _BLOCK))
            keys[part], logits = space.draw(part.stop - part.start, seed=number + 1)
            values[part] = probabilities(3.0 * logits)
            told.advance(part.stop - part.start)
        copies = np.random.default_rng(0).integers(0, size, (2, int(DUPLICATES * size)))
        keys[copies[0]], values[copies[0]] = keys[copies[1]], values[copies[1]]
        KnowledgeBase.build(keys, values, np.arange(size), identity["generated"]).save(folder)
        queries, logits = space.draw(QUERIES, seed=0)
        save_file({"queries": queries, "student": probabilities(logits)}, folder / _QUERY_FILE)
        told.finish()

    artifact = store.get("generated-base", identity["generated"], build)
    arrays = load_file(artifact.path / _QUERY_FILE)
    return Source(
        name,
        artifact.path,
        arrays["queries"],
        arrays["student"],
        identity,
        True,
        size,
        dim,
        classes,
    )


class _Space:
    """Class centres and directions of spread, the same for every draw of one width."""

    def __init__(self, dim: int, classes: int) -> None:
        random = np.random.default_rng([dim, classes])
        clusters = max(classes, 2)
        rank = max(
            0, min(RANK, dim - clusters)
        )  # orthogonal to the centres, as far as there is room
        basis, _ = np.linalg.qr(random.standard_normal((dim, rank + clusters)))
        scale = DECAY ** np.arange(rank)
        self.directions = (basis[:, :rank].T * scale[:, None]).astype(np.float32)
        self.centres = (SEPARATION * basis[:, rank:].T).astype(np.float32)
        self.classes = classes
        self.noise = NOISE / np.sqrt(dim)

    def draw(self, rows: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings [rows, dim] of length about 10, and logits [rows, C] that belong to them."""
        random = np.random.default_rng([seed, 1])
        which = random.integers(0, len(self.centres), rows)
        spread = random.standard_normal((rows, len(self.directions)), np.float32)
        rest = random.standard_normal((rows, self.centres.shape[1]), np.float32)
        embeddings = self.centres[which] + spread @ self.directions + self.noise * rest
        blurred = np.eye(len(self.centres), dtype=np.float32)[which]
        blurred += 0.5 * random.standard_normal(blurred.shape, np.float32)
        logits = blurred[:, : self.classes] * (5.0 if self.classes == 1 else 2.0)
        return 4.0 * embeddings, logits
