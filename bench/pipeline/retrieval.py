"""One student before one knowledge base: search once per backend, then sweep as arrays."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.pipeline.crossfit import CrossFit
from bench.pipeline.student import TaskPipeline
from bench.records.base import NONE, RANDOM, SHUFFLED, Base
from bench.records.run import Choice, RetrievalResult, Scores, SearchFacts
from reaugkd.errors import UserError
from reaugkd.retrieval import ann, calibration, controls, mixing, sweep, tuning
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.sweep import Grid

TUNING_QUERIES = 500
TIMED_QUERIES = 200
SAME_SCORE = 1e-3

Floats = NDArray[np.floating[Any]]
Neighbours = tuple[Floats, NDArray[np.int64]]
"""Similarities and ids [N, k] of queries."""


class Retrieval:
    """Everything that the backends of one (student, knowledge base) share."""

    def __init__(self, pipeline: TaskPipeline, base: Base) -> None:
        self.pipeline, self.base, self.wanted = pipeline, base, pipeline.config.retrieval
        self.grid = Grid(self.wanted.k, self.wanted.beta, self.wanted.tau)
        self.largest, self.queried = max(self.grid.ks), pipeline.rows.queried

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the knowledge base."""
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
        return CrossFit(self.pipeline.teacher, self.wanted.folds)

    @cached_property
    def knowledge_base(self) -> KnowledgeBase:
        """Fit rows only, in their order: keys and values; of a control, what stands for them."""

        def build(folder: Path) -> None:
            keys, values, base = self._keys(), self._values(), self.base
            ids = np.asarray(self.pipeline.rows.data.fit["idx"])
            if base.share != 1:
                rows = controls.subset(len(ids), base.entries(len(ids)), base.seed)
                keys, values, ids = keys[rows], values[rows], ids[rows]
            if base.control == SHUFFLED:
                values = controls.shuffled(values, base.seed)
            elif base.control == RANDOM:
                keys = controls.random_keys(len(keys), keys.shape[1], base.seed)
            KnowledgeBase.build(keys, values, ids, self.identity).save(folder)

        artifact = self.pipeline.artifacts.get("knowledge-base", self.identity, build)
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

    # --- what is shared by the backends --------------------------------------------------------

    @cached_property
    def queries(self) -> dict[str, NDArray[np.float32]]:
        """The student's embeddings by split."""
        pipeline, student = self.pipeline, (self.base.method, self.base.seed)
        return {split: pipeline.outputs(*student, split).embedding for split in self.queried}

    @cached_property
    def answers(self) -> dict[str, Floats]:
        """The student's own distributions by split."""
        pipeline, student = self.pipeline, (self.base.method, self.base.seed)
        outputs = {split: pipeline.outputs(*student, split).logits for split in self.queried}
        return {split: mixing.probabilities(logits) for split, logits in outputs.items()}

    @cached_property
    def truths(self) -> dict[str, tuning.Truth]:
        """Exact answers by split; ``tuning`` is a sample of the held-out queries."""
        exact = Exact()
        exact.build(self.knowledge_base.keys)  # nothing is computed: it holds the keys as they are
        truths = {
            s: tuning.Truth(exact, queries, self.largest) for s, queries in self.queries.items()
        }
        sample = self.queries["held_out"]
        chosen = np.random.default_rng(0).permutation(len(sample))[:TUNING_QUERIES]
        truths["tuning"] = tuning.Truth(exact, sample[np.sort(chosen)], self.largest)
        return truths

    def built(self, spec: str) -> tuple[AnnIndex, float]:
        """The index of ``spec``, built once and kept, and the seconds its build took."""
        empty, vectors = ann.make(spec), self.knowledge_base.keys
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

    # --- one backend ---------------------------------------------------------------------------

    def run(self, spec: str, training_key: str) -> tuple[RetrievalResult, dict[str, NDArray[Any]]]:
        """Tune, search once, sweep, choose.

        A query never finds itself: the knowledge base holds fit rows only.

        Returns:
            The result and the arrays kept beside it: the sweep's selection metric by split
            [taus, ks, betas], and the mixed outputs of the chosen setting.
        """
        base, rows, task = self.knowledge_base, self.pipeline.rows, self.pipeline.task
        self.grid.require(len(base))
        index, build_seconds = self.built(spec)
        tuned = tuning.tune(index, self.truths["tuning"], self.wanted.recall_target)
        neighbours = {s: index.search(queries, self.largest) for s, queries in self.queries.items()}
        tables = {}
        for split, (similarities, ids) in neighbours.items():
            values = mixing.neighbour_values(base.values, ids)
            tables[split] = sweep.sweep_scores(
                task, self.answers[split], similarities, values, rows.labels(split), self.grid
            )
        chosen = self._choice("held_out", tables, neighbours)
        outputs = {s: self._mixed(s, neighbours[s], chosen) for s in self.queried}
        p50, p95 = self._timed(index)
        result = RetrievalResult(
            training_key=training_key,
            student_init=self.pipeline.student_init(self.base.method),
            backend=spec,
            keys=self.base.keys,
            values=self.base.values,
            share=self.base.share,
            control=self.base.control,
            entries=len(base),
            width=base.keys.shape[1],
            kb_bytes=base.nbytes,
            ks=list(self.grid.ks),
            betas=list(self.grid.betas),
            taus=list(self.grid.taus),
            off={s: rows.scores_of(s, self.answers[s]) for s in self.queried},
            off_loss={s: calibration.loss(self.answers[s], rows.labels(s)) for s in self.queried},
            chosen=chosen,
            optimistic=self._choice(task.tests[0], tables, neighbours),
            search=SearchFacts(
                effort=tuned.effort,
                target=self.wanted.recall_target,
                target_met=tuned.target_met,
                recall={s: self.truths[s].recall(neighbours[s][1]) for s in self.queried},
                agreement={s: self._agreement(s, outputs[s], chosen) for s in self.queried},
                build_seconds=build_seconds,
                index_bytes=index.nbytes,
                search_us_p50=p50,
                search_us_p95=p95,
                params=index.params(),
            ),
        )
        arrays = {f"sweep.{s}": tables[s][task.select_on] for s in self.queried}
        return result, arrays | {f"outputs.{s}": outputs[s] for s in self.queried}

    def _choice(
        self,
        split: str,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        neighbours: Mapping[str, Neighbours],
    ) -> Choice:
        grid, labels = self.grid, self.pipeline.rows.labels
        best = sweep.choose(tables[split][self.pipeline.task.select_on], grid)
        at = grid.taus.index(best.tau), grid.ks.index(best.k), grid.betas.index(best.beta)
        swept = {s: {m: float(v[at]) for m, v in table.items()} for s, table in tables.items()}
        mixed = {s: self._mixed(s, neighbours[s], best) for s in neighbours}
        return Choice(
            k=best.k,
            beta=best.beta,
            tau=best.tau,
            selected_on=split,
            scores={s: self._whole(s, scores, mixed[s]) for s, scores in swept.items()},
            loss={s: calibration.loss(outputs, labels(s)) for s, outputs in mixed.items()},
        )

    def _whole(self, split: str, swept: Scores, mixed: Floats) -> Scores:
        """All metrics of one setting: those that a sweep leaves out need its probabilities."""
        if swept.keys() == {*self.pipeline.task.metrics}:
            return swept
        return {**self.pipeline.rows.scores_of(split, mixed), **swept}

    def _mixed(self, split: str, neighbours: Neighbours, at: Choice | sweep.GridPoint) -> Floats:
        similarities, ids = neighbours[0][:, : at.k], neighbours[1][:, : at.k]
        values = self.knowledge_base.values
        return mixing.augment(self.answers[split], similarities, ids, values, at.tau, at.beta)

    def _agreement(self, split: str, outputs: Floats, choice: Choice) -> float:
        truth = self.truths[split]
        reference = self._mixed(split, (truth.similarities, truth.ids), choice)
        if self.pipeline.task.regression:
            return float(np.mean(np.abs(outputs - reference) <= SAME_SCORE))
        return float(np.mean(outputs.argmax(axis=1) == reference.argmax(axis=1)))

    def _timed(self, index: AnnIndex) -> tuple[float, float]:
        """Median and 95th percentile of one-query searches in microseconds, index call only."""
        queries = np.ascontiguousarray(self.queries[self.pipeline.task.tests[0]][:TIMED_QUERIES])
        index.search(queries[:1], self.largest)
        times = []
        for at in range(len(queries)):
            began = time.perf_counter_ns()
            index.search(queries[at : at + 1], self.largest)
            times.append((time.perf_counter_ns() - began) / 1e3)
        p50, p95 = np.percentile(times, [50, 95])
        return float(p50), float(p95)
