"""Pictures of sections that are not ported yet. To be deleted with them.

What stands here goes into the section as it is ported: ``pictures=lambda frame, _:
by_k.pictures(frame)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.report import document
from bench.report.build import MINI
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
from bench.report.results import Results
from bench.report.section import Picture
from bench.report.sections import scores
from bench.report.summary import summarise

if TYPE_CHECKING:
    from pandas import DataFrame

Pictures = dict[str, tuple[Picture, ...]]


def of_run(inputs: RunInputs, old: document.Report) -> Pictures:
    """Name of a section -> its pictures."""
    frames = {section.name: typed(section.records) for section in old.sections}
    made: dict[str, list[Iterable[Picture]]] = {
        "curves": [curves.pictures(_curves(inputs.results))]
    }
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
    what = f" {MINI}" if inputs.mini else ""
    return {
        name: tuple(replace(one, title=f"{one.title}{what}") for one in some)
        for name, some in _there(made).items()
    }


def _curves(results: Results) -> DataFrame:
    """What the section of curves has in its frame."""
    values: dict[tuple[str, str, str, float], list[float]] = {}
    last: dict[tuple[str, str], list[int]] = {}
    titles: dict[str, str] = {}
    for record, training in results.trained:
        titles[record.task] = record.title
        last.setdefault((record.task, record.method), []).append(len(training.history))
        for epoch in training.history:
            for term in (record.select_on, *(name for name in epoch if name.startswith("loss/"))):
                at = (record.task, term, record.method, epoch["epoch"])
                values.setdefault(at, []).append(epoch[term])
    return typed(
        {"task": task, "title": titles[task], "method": method, "term": term, "epoch": epoch}
        | {"selects": not term.startswith("loss/"), "value": summarise(found)}
        | {"last": last[task, method]}
        for (task, term, method, epoch), found in sorted(
            values.items(), key=lambda item: item[0][1].startswith("loss/")
        )
    )


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
