"""Where the figures come from: a row per distinct value of a fact, of a run or of measurements.

In JSON the facts stand as they are, each with its list of values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.frame import typed
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Column, Section, View

if TYPE_CHECKING:
    from pandas import DataFrame

AnyInputs = RunInputs | MeasuredInputs


def _rows(inputs: AnyInputs) -> DataFrame:
    return typed(
        {"what": what, "value": value}
        for what, values in inputs.facts.items()
        for value in values
        if value
    )


def _views(frame: DataFrame, _: AnyInputs) -> Iterator[View]:
    if len(frame):
        what, value = Column("what", "what", label=True), Column("value", "value", label=True)
        yield View("Provenance", (what, value))


SECTION: Section[AnyInputs] = Section(
    "provenance", "Provenance", _rows, _views, about=True, data=False
)
