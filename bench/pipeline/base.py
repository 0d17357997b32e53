"""The knowledge base of a student: keys and values, reduced, condensed, rounded; and its index."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.pipeline.crossfit import CrossFit
from bench.pipeline.student import TaskPipeline
from bench.records.base import FLOAT_BITS, NONE, RANDOM, SHUFFLED, Base
from reaugkd.errors import UserError
from reaugkd.retrieval import ann, condense, controls, mixing
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.condense import FULL
from reaugkd.retrieval.condense.condenser import Asked, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase

Floats = NDArray[np.floating[Any]]


class Step(NamedTuple):
    """What makes a base cheaper, the plain JSON that decides it, and whether it asks a student."""

    adds: dict[str, Any]
    make: Callable[[KnowledgeBase], KnowledgeBase]
    asks: bool = False


class BuiltBase(NamedTuple):
    """A knowledge base, and the seconds that its steps took; None of a base without any."""

    knowledge_base: KnowledgeBase
    seconds: float | None


class BaseBuilder:
    """Makes the knowledge base that ``base`` names; every step is an artefact of its own.

    Keys are reduced first, entries condensed in the reduced space, values rounded last. Nothing is
    trained for it: what condensers ask of a student are the outputs that it has given.
    """

    def __init__(self, pipeline: TaskPipeline, base: Base) -> None:
        self.pipeline, self.base = pipeline, base

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the knowledge base."""
        return self._identity(len(self._steps))

    @cached_property
    def built(self) -> BuiltBase:
        """The knowledge base, from the cache if it is there."""
        return self._after(len(self._steps))

    def index(self, spec: str) -> tuple[AnnIndex, float]:
        """The index of ``spec``, built once and kept, and the seconds its build took."""
        empty, vectors = ann.make(spec), self.built.knowledge_base.keys
        if empty.instant:
            began = time.perf_counter()
            empty.build(vectors)
            return empty, time.perf_counter() - began

        def build(folder: Path) -> Mapping[str, Any]:
            index, reporter = ann.make(spec), self.pipeline.reporter
            reporter.start(f"{spec}: building the index", len(vectors), "vectors")
            load, began = os.getloadavg(), time.perf_counter()
            index.build(vectors)
            seconds = time.perf_counter() - began
            reporter.advance(len(vectors))
            index.save(folder)
            reporter.finish()
            return {"build_seconds": seconds, "provenance": self.pipeline.stamp(load)}

        identity = {"base": self.identity, "spec": spec, "params": empty.params()}
        identity["library"] = empty.version
        artifact = self.pipeline.artifacts.get("index", identity, build)
        return ann.load(artifact.path), artifact.facts["build_seconds"]

    def _identity(self, steps: int) -> dict[str, Any]:
        identity = dict(self._whole_identity)
        for step in self._steps[:steps]:
            identity |= step.adds
        return identity

    def _after(self, steps: int) -> BuiltBase:
        """The base after its first ``steps``."""
        if not steps:
            return BuiltBase(self._whole, None)
        identity, step = self._identity(steps), self._steps[steps - 1]

        def build(folder: Path) -> dict[str, Any]:
            before, load = self._after(steps - 1), os.getloadavg()
            if step.asks:  # a pass of the student over fit is no part of the seconds
                self.pipeline.outputs(self.base.method, self.base.seed, "fit")
            began = time.perf_counter()
            made = step.make(before.knowledge_base)
            seconds = time.perf_counter() - began + (before.seconds or 0.0)
            replace(made, manifest=identity).save(folder)
            return {"seconds": seconds, "provenance": self.pipeline.stamp(load)}

        artifact = self.pipeline.artifacts.get("knowledge-base", identity, build)
        return BuiltBase(KnowledgeBase.load(artifact.path), artifact.facts["seconds"])

    # --- cheaper -------------------------------------------------------------------------------

    @cached_property
    def _steps(self) -> list[Step]:
        base, steps = self.base, []
        if isinstance(base.pca, int):
            dims = base.pca
            steps.append(Step({"pca": dims}, lambda whole: whole.compressed(dims)))
        if base.condense != FULL:
            condenser = condense.make(base.condense)
            adds: dict[str, Any] = {"condense": base.condense, "condenser": condenser.version}
            if condenser.asks:
                adds["student"] = self.pipeline.student_identity(base.method, base.seed)
            steps.append(Step(adds, self._condensed, condenser.asks))
        if base.value_bits != FLOAT_BITS:
            steps.append(Step({"value_bits": base.value_bits}, KnowledgeBase.quantised))
        return steps

    def _condensed(self, whole: KnowledgeBase) -> KnowledgeBase:
        condenser, reporter = condense.make(self.base.condense), self.pipeline.reporter
        questions = self._questions(whole) if condenser.asks else None
        reporter.start(f"{self.base.condense}: condensing", len(whole), "rows")
        condensed = condenser(whole, questions)
        reporter.advance(len(whole))
        reporter.finish()
        return condensed

    def _questions(self, whole: KnowledgeBase) -> Questions:
        return Questions(self._asked("fit", whole), self._asked("held_out", whole))

    def _asked(self, split: str, whole: KnowledgeBase) -> Asked:
        """What the student asks and says of the rows of ``split``; of fit those of the base."""
        pipeline, base = self.pipeline, self.base
        outputs, labels = (
            pipeline.outputs(base.method, base.seed, split),
            pipeline.rows.labels(split),
        )
        rows = self._drawn if split == "fit" else np.arange(len(labels))
        embedding, logits = outputs.embedding[rows], outputs.logits[rows]
        return Asked(whole.queries(embedding), mixing.probabilities(logits), labels[rows])

    # --- whole ---------------------------------------------------------------------------------

    @cached_property
    def _whole_identity(self) -> dict[str, Any]:
        base, pipeline = self.base, self.pipeline
        identity: dict[str, Any] = {"signals": pipeline.teacher.signals_identity}
        identity |= {"keys": base.keys, "values": base.values}
        if base.keys == "projected":
            method = pipeline.projector(base.method)
            identity |= {"projection": pipeline.method(method).projection_identity()}
            identity |= {"method": pipeline.config.base(method), "seed": base.seed}
            identity |= {"width": pipeline.student_shape(base.method).width}
        elif base.keys == "student":
            identity["student"] = pipeline.student_identity(base.method, base.seed)
        if base.values == "cross-fitted":
            identity["cross-fit"] = self._cross_fit.identity
        drawn: dict[str, Any] = {} if base.share == 1 else {"share": base.share}
        drawn |= {} if base.control == NONE else {"control": base.control}
        return identity | drawn | ({"drawn": base.seed} if drawn else {})

    @cached_property
    def _cross_fit(self) -> CrossFit:
        return CrossFit(self.pipeline.teacher, self.pipeline.config.retrieval.folds)

    @property
    def _drawn(self) -> NDArray[np.int64]:
        """The rows of fit that are entries of the whole base."""
        rows, base = len(self.pipeline.rows.data.fit), self.base
        if base.share == 1:
            return np.arange(rows)
        return controls.subset(rows, base.drawn(rows), base.seed)

    @property
    def _whole(self) -> KnowledgeBase:
        """Fit rows only, in their order: keys and values; of a control, what stands for them."""
        identity = self._whole_identity

        def build(folder: Path) -> None:
            keys, values, base = self._keys(), self._values(), self.base
            ids = np.asarray(self.pipeline.rows.data.fit["idx"][:])
            if base.share != 1:
                rows = self._drawn
                keys, values, ids = keys[rows], values[rows], ids[rows]
            if base.control == SHUFFLED:
                values = controls.shuffled(values, base.seed)
            elif base.control == RANDOM:
                keys = controls.random_keys(len(keys), keys.shape[1], base.seed)
            KnowledgeBase.build(keys, values, ids, identity).save(folder)

        artifact = self.pipeline.artifacts.get("knowledge-base", identity, build)
        return KnowledgeBase.load(artifact.path)

    def _keys(self) -> NDArray[np.float32]:
        pipeline, base = self.pipeline, self.base
        if base.keys == "student":
            return pipeline.outputs(base.method, base.seed, "fit").embedding
        embedding = pipeline.teacher.signals["fit"].embedding
        if embedding is None:
            raise UserError(f"keys '{base.keys}': the teacher's outputs have no embeddings")
        if base.keys == "teacher":
            return embedding
        method = pipeline.method(projector := pipeline.projector(base.method))
        method.prepare(pipeline.context(projector, base.seed))
        return method.project(embedding)

    def _values(self) -> Floats:
        pipeline = self.pipeline
        if self.base.values == "soft":
            return mixing.probabilities(pipeline.teacher.signals["fit"].logits)
        if self.base.values == "cross-fitted":
            return mixing.probabilities(self._cross_fit.logits)
        labels = pipeline.rows.labels("fit")
        hard: Floats = labels[:, None]
        if not pipeline.task.regression:
            hard = np.eye(pipeline.task.outputs, dtype=np.float32)[labels]
        return hard
