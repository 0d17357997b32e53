"""Runs beside each other as a report: what differs, whether it holds, and what else differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pandas import DataFrame

from bench.report.build import SCHEMA, parts
from bench.report.compared import CompareInputs, beside, differences
from bench.report.document import Report
from bench.report.frame import Row, rows
from bench.report.lead import NOT_GLUE
from bench.report.scores import OFF
from bench.report.section import Section
from bench.report.verdict import Verdict, interval, signed

OF_RUNS: tuple[Section[CompareInputs], ...] = (
    differences.SECTION,
    differences.UNMATCHED,
    beside.SETTINGS,
    beside.EFFORT,
    beside.COSTS,
    beside.RUNS,
    beside.MACHINES,
    beside.FILES,  # behind all sections that read files
)
"""In the order in which they are shown."""

NOTHING = "The runs have no finished student of the same task and method: nothing to compare."

SAID = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.NOT_SHOWN: "without a difference shown",
    Verdict.SAME: "with the same answers",
    Verdict.ONE_SEED: "of one seed, which no test can be made of",
    Verdict.NOT_COMPARABLE: "not comparable",
}


def build(inputs: CompareInputs) -> Report:
    """The report of several runs, all of them against the first."""
    sentences = tuple(headline(inputs.frame(differences.SECTION)))
    others = ", ".join(run.name for run in inputs.others)
    return Report(
        title=f"{others} against {inputs.first.name}",
        headline=sentences,
        lead=tuple(_lead(inputs, others)),
        parts=parts(OF_RUNS, inputs, mini=inputs.mini),
        about={
            "schema_version": SCHEMA,
            "runs": [{"name": r.name, "folder": str(r.results.folder)} for r in inputs.runs],
            "headline": sentences,
        },
    )


def headline(frame: DataFrame) -> Iterator[str]:
    """One sentence per run: how many differences hold, and in which direction."""
    lines = rows(frame)
    if not lines:
        yield NOTHING
    for run in dict.fromkeys(line.run for line in lines):
        of_run = [line for line in lines if line.run == run]
        counts = Counter(line.outcome for line in of_run)
        outcomes = ", ".join(
            f"{counts[what]} {said}" for what, said in SAID.items() if counts[what]
        )
        count = f"{len(of_run)} comparison{'s' * (len(of_run) > 1)}"
        yield f"{run} against {of_run[0].first}: {count}: {outcomes}.{_largest(of_run)}"


def _largest(lines: Sequence[Row]) -> str:
    """The largest difference that holds, in a sentence; empty without one."""
    holding = [line for line in lines if line.outcome in (Verdict.BETTER, Verdict.WORSE)]
    if not holding:
        return ""
    line = max(holding, key=lambda row: abs(row.difference.estimate))
    index = "" if line.retrieval == OFF else f" with {line.retrieval}"
    what = f"{signed(line.difference.estimate)} points {interval(line.difference)}"
    return f" The largest that holds: {line.title} {line.method}{index}, {what}."


def _lead(inputs: CompareInputs, others: str) -> Iterator[str]:
    if inputs.mini:
        yield NOT_GLUE
    yield f"Compared with {inputs.first.name}: {others}."
    machines, left = (inputs.frame(section) for section in (beside.MACHINES, differences.UNMATCHED))
    if len(machines):
        what = ", ".join(machines["what"])
        yield f"Warning: the runs were not made alike ({what} differ; see Runs)."
    if len(left):
        columns = "1 column is" if len(left) == 1 else f"{len(left)} columns are"
        yield f"{columns} in one of two runs only and not compared."
