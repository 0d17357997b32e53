"""Memory cells: one knowledge base in one backend, each read in a process of its own.

Four rulers, because none is right alone: the backend's formula, the bytes on disk (a lower bound of
what must be read), the growth of anonymous memory in a process that loads the saved index and
answers queries, and the peak on the way. Mapped file pages are told apart: they can be reclaimed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from bench.measure import bases, environment
from bench.measure.indexes import Indexes, besides
from bench.measure.job import MemoryJob
from bench.measure.meter import EXPECTED, Arrays, Meter, ReadyIndex
from bench.measure.plan import MeasurementPlan
from bench.records.measurement import MemoryRecord, MemoryResult
from bench.records.measurements import Kind
from reaugkd.retrieval.knowledge_base import KnowledgeBase

SMALL = 1_000
"""Entries of the base that is served before the first reading."""


class MemoryMeter(Meter[MemoryRecord]):
    """Reads what a knowledge base takes in memory and on disk."""

    KIND: ClassVar[Kind] = "memory"
    RECORD: ClassVar[type[MemoryRecord]] = MemoryRecord

    def record(
        self, plan: MeasurementPlan, result: MemoryResult | None, common: Mapping[str, Any]
    ) -> MemoryRecord:
        """The record of a cell."""
        names = {"base", "size", "dim", "classes", "generated", "backend", "k", "reduction"}
        return MemoryRecord(**plan.cell.model_dump(include=names), **common)

    def figures(
        self, plan: MeasurementPlan, index: ReadyIndex
    ) -> tuple[MemoryResult, Arrays | None]:
        """Serve the base in a process, and add what formulas and files say."""
        base = KnowledgeBase.load(plan.subject.source.folder)
        small_base, small_index = self._small(plan)
        job = MemoryJob(
            cell=plan.cell,
            spec=plan.spec,
            effort=index.facts.effort,
            index=index.folder,
            base=str(plan.subject.source.folder),
            queries=str(plan.subject.source.queries_file),
            small_base=small_base,
            small_index=small_index,
        )
        variables = environment.variables(plan.cell.threads)
        content = self.launcher(job.model_dump_json(), variables)
        result = MemoryResult(
            formula=index.facts.nbytes + besides(base),
            serialized=index.built.on_disk(base),
            **json.loads(content),
        )
        return result, None

    def _small(self, plan: MeasurementPlan) -> tuple[str, str | None]:
        """A base of the same width through the same backend, as small as the backend allows.

        Inverted files want as many vectors as they have lists.
        """
        size = max(SMALL, plan.cell.k)
        while True:
            source = bases.generated(self.store, str(size), plan.cell.dim, self.reporter)
            indexes = Indexes(self.store, source, self.options.build_threads, self.reporter)
            try:
                folder = indexes.built(plan.spec).folder
                return str(source.folder), None if folder is None else str(folder)
            except EXPECTED:
                if size >= plan.cell.size:
                    raise
                size *= 4
