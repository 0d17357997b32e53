"""One student before one knowledge base: search once per backend, then sweep as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.pipeline import hot
from bench.pipeline.base import BaseBuilder
from bench.pipeline.skipping import Skipping
from bench.pipeline.student import TaskPipeline
from bench.records.base import NEVER, Base
from bench.records.run import Choice, RetrievalResult, Scores, SearchFacts
from reaugkd.errors import UserError
from reaugkd.retrieval import calibration, mixing, sweep, tuning
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.condense import FULL
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.query import QueryPath
from reaugkd.retrieval.sweep import Grid
from reaugkd.retrieval.tuning import Tuned

TUNING_QUERIES = 500
SAME_SCORE = 1e-3

Floats = NDArray[np.floating[Any]]
Arrays = dict[str, NDArray[Any]]
Neighbours = tuple[Floats, NDArray[np.int64]]
"""Similarities and ids [N, k] of queries."""


@dataclass(frozen=True)
class Searched:
    """What one backend has answered, once for all rules of skipping.

    Attributes:
        index: with its effort as ``tuned``; its build took ``build_seconds``.
        neighbours: by split, at the largest k.
        tables: split -> metric -> [taus, ks, betas].
        us: median and 95th percentile of one query, in microseconds, index call only.
    """

    index: AnnIndex
    tuned: Tuned
    build_seconds: float
    neighbours: dict[str, Neighbours]
    tables: dict[str, dict[str, NDArray[Any]]]
    us: tuple[float, float]


class Decision(NamedTuple):
    """A choice, who is searched under it, and by split the outputs, also if all were searched."""

    choice: Choice
    skipping: Skipping
    outputs: Arrays
    mixed: Arrays


class Retrieval:
    """Everything that the backends of one (student, knowledge base) share."""

    def __init__(self, pipeline: TaskPipeline, base: Base) -> None:
        self.pipeline, self.base, self.wanted = pipeline, base, pipeline.config.retrieval
        self.builder, self.queried = BaseBuilder(pipeline, base), pipeline.rows.queried
        self._searched: dict[str, Searched] = {}

    @property
    def knowledge_base(self) -> KnowledgeBase:
        """The entries that are searched."""
        return self.builder.built.knowledge_base

    @cached_property
    def grid(self) -> Grid:
        """The settings to choose from; of a condensed base those that its entries allow.

        Raises:
            UserError: if no k is as small as the base.
        """
        ks, entries = self.wanted.k, len(self.knowledge_base)
        if self.base.condense != FULL:
            ks = tuple(k for k in ks if k <= entries)
            if not ks:
                raise UserError(
                    f"k = {min(self.wanted.k)} is larger than the {entries} entries of "
                    f"'{self.base.condense}'"
                )
        grid = Grid(ks, self.wanted.beta, self.wanted.tau)
        grid.require(entries)
        return grid

    @property
    def largest(self) -> int:
        """The largest k: every smaller one is a part of its answers."""
        return max(self.grid.ks)

    @property
    def counts(self) -> NDArray[np.int64] | None:
        """Rows [n] that each entry stands for, where they weigh and are not one each."""
        return self.knowledge_base.counts if self.base.count_weight else None

    # --- what is shared by the backends --------------------------------------------------------

    @cached_property
    def queries(self) -> dict[str, NDArray[np.float32]]:
        """The student's embeddings by split, reduced as the keys are."""
        pipeline, student = self.pipeline, (self.base.method, self.base.seed)
        embeddings = {s: pipeline.outputs(*student, s).embedding for s in self.queried}
        base = self.knowledge_base
        if base.basis is None:
            return embeddings
        return {split: base.queries(embedding) for split, embedding in embeddings.items()}

    @cached_property
    def answers(self) -> dict[str, Floats]:
        """The student's own distributions by split."""
        pipeline, student = self.pipeline, (self.base.method, self.base.seed)
        logits = {split: pipeline.outputs(*student, split).logits for split in self.queried}
        return {split: mixing.probabilities(own) for split, own in logits.items()}

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

    # --- one backend ---------------------------------------------------------------------------

    def run(
        self, spec: str, training_key: str, skip_rule: str = NEVER
    ) -> tuple[RetrievalResult, Arrays]:
        """Tune, search once, sweep, choose, skip.

        A query never finds itself: the knowledge base holds fit rows only.

        Returns:
            The result and the arrays kept beside it: the sweep's selection metric by split
            [taus, ks, betas], and the outputs of the chosen setting, of queries that are skipped
            the student's own.
        """
        base, rows, task = self.knowledge_base, self.pipeline.rows, self.pipeline.task
        searched = self._search(spec)
        chosen, skipping, outputs, mixed = self._decide("held_out", searched, skip_rule)
        added = self._added(searched.index, chosen, skipping)
        result = RetrievalResult(
            training_key=training_key,
            student_init=self.pipeline.student_init(self.base.method),
            backend=spec,
            keys=self.base.keys,
            values=self.base.values,
            share=self.base.share,
            control=self.base.control,
            condense=self.base.condense,
            pca=self.base.pca,
            value_bits=self.base.value_bits,
            count_weight=self.base.count_weight,
            condense_seconds=self.builder.built.seconds,
            entries=len(base),
            width=base.keys.shape[1],
            kb_bytes=base.nbytes,
            ks=list(self.grid.ks),
            betas=list(self.grid.betas),
            taus=list(self.grid.taus),
            off={s: rows.scores_of(s, self.answers[s]) for s in self.queried},
            off_loss={s: calibration.loss(self.answers[s], rows.labels(s)) for s in self.queried},
            chosen=chosen,
            optimistic=self._decide(task.tests[0], searched, skip_rule).choice,
            skip=skipping.facts(mixed, added),
            search=SearchFacts(
                effort=searched.tuned.effort,
                target=self.wanted.recall_target,
                target_met=searched.tuned.target_met,
                recall={s: self.truths[s].recall(searched.neighbours[s][1]) for s in self.queried},
                agreement={
                    s: self._agreement(s, outputs[s], chosen, skipping) for s in self.queried
                },
                build_seconds=searched.build_seconds,
                index_bytes=searched.index.nbytes,
                search_us_p50=searched.us[0],
                search_us_p95=searched.us[1],
                added_us_p50=added.p50,
                added_us_p95=added.p95,
                params=searched.index.params(),
            ),
        )
        arrays = {f"sweep.{s}": searched.tables[s][task.select_on] for s in self.queried}
        return result, arrays | {f"outputs.{s}": outputs[s] for s in self.queried}

    def _search(self, spec: str) -> Searched:
        """Everything about a backend that no rule of skipping changes; the last one is kept."""
        if spec not in self._searched:
            index, seconds = self.builder.index(spec)
            tuned = tuning.tune(index, self.truths["tuning"], self.wanted.recall_target)
            largest = self.largest
            neighbours = {s: index.search(asked, largest) for s, asked in self.queries.items()}
            tables = {s: self._swept(s, *found) for s, found in neighbours.items()}
            first = self.queries[self.pipeline.task.tests[0]][: hot.QUERIES]
            asked = np.ascontiguousarray(first)
            us = hot.microseconds(lambda query: index.search(query, largest), asked)
            self._searched = {spec: Searched(index, tuned, seconds, neighbours, tables, us)}
        return self._searched[spec]

    def _swept(
        self, split: str, similarities: Floats, ids: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        base = self.knowledge_base
        return sweep.sweep_scores(
            self.pipeline.task,
            self.answers[split],
            similarities,
            mixing.neighbour_values(base.values, ids, base.span),
            self.pipeline.rows.labels(split),
            self.grid,
            log_counts=mixing.neighbour_log_counts(self.counts, ids),
        )

    def _decide(self, split: str, searched: Searched, skip_rule: str) -> Decision:
        """The setting, and the threshold of skipping, that are best on ``split``."""
        grid, labels, tables = self.grid, self.pipeline.rows.labels, searched.tables
        best = sweep.choose(tables[split][self.pipeline.task.select_on], grid)
        at = grid.taus.index(best.tau), grid.ks.index(best.k), grid.betas.index(best.beta)
        swept = {s: {m: float(v[at]) for m, v in table.items()} for s, table in tables.items()}
        mixed = {s: self._augmented(s, *searched.neighbours[s], best) for s in self.queried}
        skipping = Skipping.choose(skip_rule, best.beta, split, self.answers, mixed)
        outputs = {s: skipping.outputs(s, answers) for s, answers in mixed.items()}
        choice = Choice(
            k=best.k,
            beta=best.beta,
            tau=best.tau,
            selected_on=split,
            scores={s: self._whole(s, swept[s], outputs[s], skip_rule) for s in swept},
            loss={s: calibration.loss(answers, labels(s)) for s, answers in outputs.items()},
        )
        return Decision(choice, skipping, outputs, mixed)

    def _whole(self, split: str, swept: Scores, outputs: Floats, skip_rule: str) -> Scores:
        """All metrics of one setting; those of the sweep know nothing of skipping."""
        if skip_rule == NEVER and swept.keys() == {*self.pipeline.task.metrics}:
            return swept
        scores = self.pipeline.rows.scores_of(split, outputs)
        return scores if skip_rule != NEVER else {**scores, **swept}

    def _augmented(
        self, split: str, similarities: Floats, ids: NDArray[np.int64], at: Choice | sweep.GridPoint
    ) -> Floats:
        """The mixture by the first k of these neighbours."""
        student, base = self.answers[split], self.knowledge_base
        similarities, ids = similarities[:, : at.k], ids[:, : at.k]
        mixed: Floats = mixing.augment(
            student, similarities, ids, base.values, at.tau, at.beta, self.counts, base.span
        )
        return mixed

    def _agreement(self, split: str, outputs: Floats, choice: Choice, skipping: Skipping) -> float:
        truth = self.truths[split]
        exact = self._augmented(split, truth.similarities, truth.ids, choice)
        reference = skipping.outputs(split, exact)
        if self.pipeline.task.regression:
            return float(np.mean(np.abs(outputs - reference) <= SAME_SCORE))
        return float(np.mean(outputs.argmax(axis=1) == reference.argmax(axis=1)))

    def _added(self, index: AnnIndex, choice: Choice, skipping: Skipping) -> hot.AddedTime:
        """What all of retrieval adds to the forward of one query of the first test split."""
        path = QueryPath.over(
            self.knowledge_base,
            index,
            k=choice.k,
            tau=choice.tau,
            beta=choice.beta,
            weigh=self.base.count_weight,
            skip_above=skipping.threshold,
        )
        split = self.pipeline.task.tests[0]
        outputs = self.pipeline.outputs(self.base.method, self.base.seed, split)
        return hot.added(path, outputs, skipping.alone(split))
