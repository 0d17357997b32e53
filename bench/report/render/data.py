"""Frames of a report as files: CSV, Parquet, one JSON, and the tidy tables of scores and cells."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pandas
import pyarrow
from pandas import DataFrame
from pydantic_core import to_json

from bench.report.document import Report


def json_text(value: Any) -> str:
    """Strict JSON: null for what is no number."""
    return to_json(value, indent=1, inf_nan_mode="null").decode("utf-8") + "\n"


def sections(report: Report) -> Iterator[tuple[str, DataFrame]]:
    """Name and frame of what stands under a heading; of one name in several folders, all rows."""
    headings = {part.section.heading for part in report.parts if part.shown}
    parts = [p for p in report.parts if p.section.heading in headings and p.section.data]
    parts = [part for part in parts if len(part.frame)]
    for name, group in groupby(parts, key=lambda part: part.section.name):
        yield name, pandas.concat([part.frame for part in group], ignore_index=True)


def tidy(report: Report) -> Iterator[tuple[str, DataFrame]]:
    """File and frame of what has a form for spreadsheets: a row per score, per measured cell."""
    tables: dict[str, tuple[Callable[[DataFrame], DataFrame], list[DataFrame]]] = {}
    for part in report.parts:
        if part.section.tidy is not None and len(part.frame):
            file, form = part.section.tidy
            tables.setdefault(file, (form, []))[1].append(part.frame)
    for file, (form, frames) in tables.items():
        yield file, form(pandas.concat(frames, ignore_index=True))


def as_csv(frame: DataFrame) -> str:
    """CSV with a header; full precision, nothing for what is missing, a list as JSON."""
    lists = [str(name) for name in frame if frame[name].dtype == object]
    texts = {name: frame[name].map(_text) for name in lists}
    text: str = frame.assign(**texts).to_csv(index=False, lineterminator="\n")
    return text


def as_parquet(frame: DataFrame) -> bytes:
    """Parquet; a column of mixed types is JSON text."""
    mixed = {}
    for name in frame:
        try:
            pyarrow.array(frame[name], from_pandas=True)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            mixed[str(name)] = frame[name].map(json.dumps, na_action="ignore")
    file = io.BytesIO()
    frame.assign(**mixed).to_parquet(file, index=False)
    return file.getvalue()


WRITERS: dict[str, Callable[[DataFrame], str | bytes]] = {"csv": as_csv, "parquet": as_parquet}
"""Ending of a file -> what makes its content."""


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
