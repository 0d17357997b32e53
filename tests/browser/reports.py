"""Reports that a browser is shown."""

from __future__ import annotations

from random import Random
from typing import Any

from bench.report.document import Report
from bench.report.section import Column, Section
from tests.bench.report import small
from tests.bench.report.test_page import drawing

MIXED: tuple[dict[str, Any], ...] = (
    {"method": "kd", "score": 0.8431, "size": 10_000_000, "verdict": "holds"},
    {"method": "rkd", "score": 0.0123, "size": 512, "verdict": "fails"},
    {"method": "reaugkd", "score": -0.0025, "size": 1_300_000_000, "verdict": "holds"},
    {"method": "reaugkd-10", "score": None, "size": None, "verdict": None},
    {"method": "reaugkd-9", "score": 0.0, "size": 900_000, "verdict": "undecided"},
    {"method": "finetune", "score": 1.0, "size": 1_500_000, "verdict": "failed"},
)


def _bytes(count: int) -> str:
    """In several units, so that the text does not sort like the number."""
    return f"{count} B" if count < 1000 else f"{count / 1e6:g} MB"


COLUMNS = (
    Column("method", "method", label=True),
    Column("score", "score", "{:+.4f} ± 0.1 (3)".format),
    Column("size", "size", _bytes),
    Column("verdict", "verdict"),
)
NAMES = tuple(column.title for column in COLUMNS)

ASCENDING = {
    "method": ["finetune", "kd", "reaugkd", "reaugkd-9", "reaugkd-10", "rkd"],
    "score": ["reaugkd", "reaugkd-9", "rkd", "kd", "finetune", "reaugkd-10"],
    "size": ["rkd", "reaugkd-9", "finetune", "kd", "reaugkd", "reaugkd-10"],
    "verdict": ["finetune", "rkd", "kd", "reaugkd", "reaugkd-9", "reaugkd-10"],
}
"""Methods from top to bottom, sorted by each column; what has no value is last in any direction."""


def scores(**more: Any) -> Section[Any]:
    return small.section(MIXED, COLUMNS, **more)


def report(*sections: Section[Any]) -> Report:
    drawn = scores(pictures=lambda *_: (drawing("off-on"), drawing("k2", panels=3)))
    return small.report(
        *(sections or (drawn,)),
        headline=("reaugkd is 1.2 points above kd [0.4, 2.1], p 0.004.", "It costs 7 % more."),
        lead=("Suite: mini.", "15 cells: 15 ok.", "Warning: the machine was busy."),
        methods=[row["method"] for row in MIXED],
        about={
            "run": {"command": "bench run --methods all --tasks tone"},
            "provenance": {"CPU": ["Test CPU"], "project": ["0.1.0, commit 0123456789ab"]},
        },
    )


def big(rows: int = 2_000) -> Report:
    random = Random(0)
    many = [{"method": f"method-{n}", "score": random.random(), "size": n} for n in range(rows)]
    return report(small.section(many, COLUMNS[:3]))


def wide(columns: int = 24) -> Report:
    rows = [{f"c{c}": f"{row}.{c:02} [1.00, 2.00]" for c in range(columns)} for row in range(60)]
    names = [Column(f"column number {c}", f"c{c}", label=c == 0) for c in range(columns)]
    return report(small.section(rows, tuple(names), name="wide"))
