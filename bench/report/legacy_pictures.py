"""Pictures of sections that are not ported yet. To be deleted with them.

What stands here goes into the section as it is ported: ``pictures=lambda inputs:
by_k.pictures(inputs.frame(SECTION))``.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.report import document
from bench.report.charts import (
    attribution,
    beta_tau,
    by_k,
    curves,
    gate,
    off_on,
    overhead,
    recall,
    tradeoff,
)
from bench.report.frame import typed
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Picture
from bench.report.sections import scores

Pictures = dict[str, tuple[Picture, ...]]


def of_run(inputs: RunInputs, old: document.Report) -> Pictures:
    """Name of a section -> its pictures."""
    frames = {section.name: typed(section.records) for section in old.sections}
    made: dict[str, list[Iterable[Picture]]] = {"curves": [curves.pictures(inputs.results)]}
    for name, draw in (
        ("off-on", off_on.pictures),
        ("k", by_k.pictures),
        ("beta-tau", beta_tau.pictures),
        ("attribution", attribution.pictures),
    ):
        made[name] = [draw(frames[name])] if name in frames else []
    if "retrieval" in frames:
        costs = typed(old.data["costs"])
        of = tradeoff.Frames(frames["retrieval"], costs, inputs.frame(scores.SECTION))
        timed = [record for beside in inputs.beside for record in beside.latency]
        made["ann"] = [
            recall.by_search_time(of.effects, costs),
            tradeoff.by_time(of),
            tradeoff.by_memory(of),
            tradeoff.by_added_time(of, timed),
        ]
    return _there(made)


def of_measurements(inputs: MeasuredInputs) -> Pictures:
    """Name of a section -> its pictures."""
    frame = typed(inputs.latency)
    return _there(
        {
            "latency": [overhead.pictures(frame), recall.by_added_time(frame)],
            "gate": [gate.pictures(inputs.past)],
        }
    )


def _there(made: dict[str, list[Iterable[Picture]]]) -> Pictures:
    return {
        name: shown for name, some in made.items() if (shown := tuple(p for ps in some for p in ps))
    }
