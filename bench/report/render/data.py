"""Frames of a report as files: CSV, Parquet, one JSON, and the tidy tables of scores and cells."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from bench.report.build import Report
from bench.report.frame import as_text

if TYPE_CHECKING:
    from pandas import DataFrame


def json_text(value: Any) -> str:
    """Strict JSON: null for what is no number."""
    return to_json(value, indent=1, inf_nan_mode="null").decode("utf-8") + "\n"


def sections(report: Report) -> Iterator[tuple[str, DataFrame]]:
    """Name and frame of what stands under a heading; of one name in several folders, all rows."""
    import pandas

    headings = {part.section.heading for part in report.parts if part.shown}
    parts = [
        part
        for part in report.parts
        if part.section.heading in headings and part.section.data and len(part.frame)
    ]
    for name, own in groupby(parts, key=lambda part: part.section.name):
        yield name, pandas.concat([part.frame for part in own], ignore_index=True)


def tidy(report: Report) -> Iterator[tuple[str, DataFrame]]:
    """File and frame of what has a form for spreadsheets: a row per score, per measured cell."""
    import pandas

    parts = [part for part in report.parts if part.section.tidy is not None and len(part.frame)]
    for part in {part.section.name: part for part in parts}.values():
        assert part.section.tidy is not None
        file, form = part.section.tidy
        frames = [one.frame for one in parts if one.section.name == part.section.name]
        yield file, form(pandas.concat(frames, ignore_index=True))


def as_csv(frame: DataFrame) -> str:
    """CSV with a header; numbers in full precision, nothing for what is missing."""
    text: str = as_text(frame).to_csv(index=False, lineterminator="\n")
    return text


def as_parquet(frame: DataFrame) -> bytes:
    """Parquet; a column of mixed types is JSON text."""
    import pyarrow

    mixed = {}
    for name in frame:
        try:
            pyarrow.array(frame[name], from_pandas=True)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            mixed[str(name)] = frame[name].map(json.dumps, na_action="ignore")
    file = io.BytesIO()
    frame.assign(**mixed).to_parquet(file, index=False)
    return file.getvalue()
