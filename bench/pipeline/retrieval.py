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
from bench.pipeline.knowledge_base import NONE, RANDOM, SHUFFLED, Base
from bench.pipeline.student import TaskPipeline
from bench.records.run import Choice, RetrievalResult, SearchFacts
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


class Retrieval:
    """Everything that the backends of one (student, knowledge base) share."""

    def __init__(self, pipeline: TaskPipeline, base: Base, grid: Grid, target: float) -> None:
        self.pipeline, self.base, self.grid, self.target = pipeline, base, grid, target
        self.largest = max(grid.ks)
        self.queried = pipeline.rows.queried

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
            identity |= {"width": pipeline.student_width}
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

    @cached_property
    def knowledge_base(self) -> KnowledgeBase:
        """Fit rows only, in their order: keys and values; of a control, what stands for them.

        Raises:
            UserError: if the keys do not live in the student's space.
        """

        def build(folder: Path) -> None:
            keys, values = self._keys(), self._values()
            ids = np.asarray(self.pipeline.rows.splits["fit"]["idx"])
            base = self.base
            if base.share != 1:
                rows = controls.subset(len(ids), base.entries(len(ids)), base.seed)
                keys, values, ids = keys[rows], values[rows], ids[rows]
            if base.control == SHUFFLED:
                values = controls.shuffled(values, base.seed)
            elif base.control == RANDOM:
                keys = controls.random_keys(len(keys), keys.shape[1], base.seed)
            KnowledgeBase.build(keys, values, ids, self.identity).save(folder)

        found = self.pipeline.artifacts.get("knowledge-base", self.identity, build)
        return KnowledgeBase.load(found.path)

    def _keys(self) -> NDArray[np.float32]:
        pipeline, base = self.pipeline, self.base
        if base.keys == "student":
            return pipeline.outputs(base.method, base.seed, "fit").embedding
        embedding = pipeline.teacher.signals["fit"].embedding
        if base.keys == "projected":
            method = pipeline.projector(base.method)
            return pipeline.prepared(method, base.seed).project(embedding)
        width = pipeline.student_width
        if embedding.shape[1] != width:
            raise UserError(
                f"keys 'teacher': the teacher's embedding has {embedding.shape[1]} dimensions, the "
                f"student's {width}; use keys 'projected' or 'student'"
            )
        return embedding

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

    def queries(self, split: str) -> NDArray[np.float32]:
        """The student's embeddings of ``split``."""
        return self.pipeline.outputs(self.base.method, self.base.seed, split).embedding

    def own(self, split: str) -> Floats:
        """The student's own distributions on ``split``."""
        return mixing.probabilities(
            self.pipeline.outputs(self.base.method, self.base.seed, split).logits
        )

    # --- what is shared by the backends --------------------------------------------------------

    @cached_property
    def exact(self) -> Exact:
        """The exact index, which the others are measured against."""
        index = Exact()
        index.build(self.knowledge_base.keys)  # nothing is computed: it holds the keys as they are
        return index

    @cached_property
    def truths(self) -> dict[str, tuning.Truth]:
        """Exact answers by split; ``tuning`` is a sample of the held-out queries."""
        truths = {s: tuning.Truth(self.exact, self.queries(s), self.largest) for s in self.queried}
        sample = self.queries("held_out")
        chosen = np.random.default_rng(0).permutation(len(sample))[:TUNING_QUERIES]
        truths["tuning"] = tuning.Truth(self.exact, sample[np.sort(chosen)], self.largest)
        return truths

    def built(self, spec: str) -> tuple[AnnIndex, float]:
        """The index of ``spec``, built once and kept, and the seconds its build took."""
        empty = ann.make(spec)
        if empty.instant:
            began = time.perf_counter()
            empty.build(self.knowledge_base.keys)
            return empty, time.perf_counter() - began

        def build(folder: Path) -> Mapping[str, Any]:
            index, vectors = ann.make(spec), self.knowledge_base.keys
            self.pipeline.reporter.start(f"{spec}: building the index", len(vectors), "vectors")
            load, began = os.getloadavg(), time.perf_counter()
            index.build(vectors)
            seconds = time.perf_counter() - began
            self.pipeline.reporter.advance(len(vectors))
            index.save(folder)
            self.pipeline.reporter.finish()
            return {"build_seconds": seconds, "provenance": self.pipeline.stamp(load)}

        identity = {"base": self.identity, "spec": spec, "params": empty.params()}
        identity["library"] = empty.version
        artifact = self.pipeline.artifacts.get("index", identity, build)
        return ann.load(artifact.path), artifact.facts["build_seconds"]

    def searched(self, index: AnnIndex, split: str) -> tuple[Floats, NDArray[np.int64]]:
        """All queries of ``split`` at the largest k.

        A query never finds itself: the knowledge base holds fit rows only.
        """
        return index.search(self.queries(split), self.largest)

    # --- one backend ---------------------------------------------------------------------------

    def run(self, spec: str, training_key: str) -> tuple[RetrievalResult, dict[str, NDArray[Any]]]:
        """Tune, search once, sweep, choose.

        Returns:
            The result and the arrays kept beside it: the sweep's selection metric by split
            [taus, ks, betas], and the mixed outputs of the chosen setting.
        """
        self.grid.require(len(self.knowledge_base))
        index, build_seconds = self.built(spec)
        tuned = tuning.tune(index, self.truths["tuning"], self.target)
        tables, found = {}, {}
        for split in self.queried:
            found[split] = self.searched(index, split)
            tables[split] = self._swept(split, *found[split])
        task, first = self.pipeline.task, self.pipeline.task.tests[0]
        chosen = self._choice("held_out", tables, found)
        outputs = {s: self._mixed(s, *found[s], chosen) for s in self.queried}
        p50, p95 = self._timed(index)
        result = RetrievalResult(
            training_key=training_key,
            student_init=self.pipeline.student_init,
            backend=spec,
            keys=self.base.keys,
            values=self.base.values,
            share=self.base.share,
            control=self.base.control,
            entries=len(self.knowledge_base),
            width=self.knowledge_base.keys.shape[1],
            kb_bytes=self.knowledge_base.nbytes,
            ks=list(self.grid.ks),
            betas=list(self.grid.betas),
            taus=list(self.grid.taus),
            off={s: self.pipeline.rows.scores(s, self.own(s)) for s in self.queried},
            off_loss={s: self._loss(s, self.own(s)) for s in self.queried},
            chosen=chosen,
            optimistic=self._choice(first, tables, found),
            search=SearchFacts(
                effort=tuned.effort,
                target=self.target,
                target_met=tuned.target_met,
                recall={s: self.truths[s].recall(found[s][1]) for s in self.queried},
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

    def _swept(
        self, split: str, similarities: Floats, ids: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        task, labels = self.pipeline.task, self.pipeline.rows.labels(split)
        values = mixing.neighbour_values(self.knowledge_base.values, ids)
        return sweep.sweep_scores(task, self.own(split), similarities, values, labels, self.grid)

    def _choice(
        self,
        split: str,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        found: Mapping[str, tuple[Floats, NDArray[np.int64]]],
    ) -> Choice:
        best = sweep.choose(tables[split][self.pipeline.task.select_on], self.grid)
        grid = self.grid
        at = grid.taus.index(best.tau), grid.ks.index(best.k), grid.betas.index(best.beta)
        scores = {s: {m: float(v[at]) for m, v in table.items()} for s, table in tables.items()}
        loss = {s: self._loss(s, self._mixed(s, *found[s], best)) for s in self.queried}
        return Choice(
            k=best.k, beta=best.beta, tau=best.tau, selected_on=split, scores=scores, loss=loss
        )

    def _loss(self, split: str, outputs: Floats) -> dict[str, float]:
        return calibration.loss(outputs, self.pipeline.rows.labels(split))

    def _mixed(
        self,
        split: str,
        similarities: Floats,
        ids: NDArray[np.int64],
        choice: Choice | sweep.Choice,
    ) -> Floats:
        nearest, rows = similarities[:, : choice.k], ids[:, : choice.k]
        return mixing.augment(
            self.own(split), nearest, rows, self.knowledge_base.values, choice.tau, choice.beta
        )

    def _agreement(self, split: str, outputs: Floats, choice: Choice) -> float:
        truth = self.truths[split]
        reference = self._mixed(split, truth.similarities, truth.ids, choice)
        if self.pipeline.task.regression:
            return float(np.mean(np.abs(outputs - reference) <= SAME_SCORE))
        return float(np.mean(outputs.argmax(axis=1) == reference.argmax(axis=1)))

    def _timed(self, index: AnnIndex) -> tuple[float, float]:
        """Median and 95th percentile of one-query searches in microseconds, index call only."""
        queries = np.ascontiguousarray(self.queries(self.pipeline.task.tests[0])[:TIMED_QUERIES])
        index.search(queries[:1], self.largest)
        times = []
        for at in range(len(queries)):
            began = time.perf_counter_ns()
            index.search(queries[at : at + 1], self.largest)
            times.append((time.perf_counter_ns() - began) / 1e3)
        p50, p95 = np.percentile(times, [50, 95])
        return float(p50), float(p95)
