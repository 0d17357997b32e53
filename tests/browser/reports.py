"""Reports that a browser is shown."""

from __future__ import annotations

from random import Random

from bench.report.document import Report
from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.sectioned import Section

from bench.report.table import EMPTY, Table

MIXED = (
    # label, points, size, count, overhead
    ("kd", "84.31 ± 0.52 (3)", "9.54 MiB", "3,301 x 384", "0.61 [0.58, 0.66]"),
    ("rkd", "+1.23", "512 B", "67,349 x 384", "371.73 ✗"),
    ("reaugkd", "-0.25 ± 1.10", "1.2 GiB", "635 x 384", "2.05 ✓"),
    ("reaugkd-10", EMPTY, EMPTY, EMPTY, "failed"),
    ("reaugkd-9", "0.00", "900 KiB", "1 x 384", "1e-05 ✓"),
    ("finetune", "100.00 (1)", "1.5 MiB", "392,702 x 384", EMPTY),
)
COLUMNS = ("method", "score", "size", "KB", "overhead")

ASCENDING = {
    "method": ["finetune", "kd", "reaugkd", "reaugkd-9", "reaugkd-10", "rkd"],
    "score": ["-0.25 ± 1.10", "0.00", "+1.23", "84.31 ± 0.52 (3)", "100.00 (1)", EMPTY],
    "size": ["512 B", "900 KiB", "1.5 MiB", "9.54 MiB", "1.2 GiB", EMPTY],
    "KB": ["1 x 384", "635 x 384", "3,301 x 384", "67,349 x 384", "392,702 x 384", EMPTY],
    "overhead": ["1e-05 ✓", "0.61 [0.58, 0.66]", "2.05 ✓", "371.73 ✗", "failed", EMPTY],
}
"""What each column reads from top to bottom; of cells without a number the first order stays."""


def table(rows: tuple[tuple[str, ...], ...] = MIXED, title: str = "Scores") -> Table:
    return Table(title, COLUMNS, rows, 1, ("A sentence with `code` below it.",))


def figure(name: str = "k", panels: int = 1) -> Figure:
    def panel(number: int) -> Panel:
        x = (1.0, 2.0, 4.0, 8.0)
        series = tuple(
            Series(
                label,
                x,
                tuple(70 + at + number * place for place in range(4)),
                tuple(69 + at + number * place for place in range(4)),
                tuple(71 + at + number * place for place in range(4)),
            )
            for at, label in enumerate(("kd", "rkd", "reaugkd"))
        )
        rule = Rule("off", 71.0)
        return Panel(f"Task {number}", Axis("k", log=True), Axis("accuracy, %"), series, (rule,))

    alt = "reaugkd is the highest at every k; all methods rise with k."
    return Figure(name, "Accuracy against k", alt, tuple(map(panel, range(panels))))


def report(*sections: Section, title: str = "mini") -> Report:
    command = "bench run --methods all --tasks tone"
    return Report(
        title=title,
        lead=("Suite: mini.", "15 cells: 15 ok.", "Warning: the machine was busy."),
        sections=sections
        or (Section("scores", "Scores", (table(),), (figure(), figure("k2", 3))),),
        rows=[],
        data={
            "run": {"command": command, "config": {"seeds": [0], "data": {"dir": None}}},
            "cells": [{"method": row[0], "task": "tone"} for row in MIXED],
            "provenance": {"CPU": ["Test CPU"], "project": ["0.1.0, commit 0123456789ab"]},
        },
        headline=("reaugkd is 1.2 points above kd [0.4, 2.1], p 0.004.", "It costs 7 % more."),
    )


def big(rows: int = 2_000) -> Report:
    random = Random(0)
    many = tuple(
        (
            f"method-{number}",
            f"{random.random() * 100:.2f} ± 0.50 (3)",
            f"{number} MiB",
            "1 x 1",
            EMPTY,
        )
        for number in range(rows)
    )
    return report(Section("scores", "Scores", (table(many),)))


def wide(columns: int = 24) -> Report:
    names = tuple(f"column number {number}" for number in range(columns))
    rows = tuple(
        tuple(f"{row}.{column:02} [1.00, 2.00]" for column in range(columns)) for row in range(60)
    )
    return report(Section("wide", "Wide", (Table("Wide", names, rows),)))
