"""What ``bench gate`` watches where it is not told what: a few cells, each with its own limit.

Whole knowledge bases behind a graph, and a condensed one searched exactly over the shortest
sentences of GLUE (CoLA's, 11 tokens): where it holds there, it holds for longer ones.
"""

from __future__ import annotations

from typing import Any

from bench.measure import environment
from reaugkd.errors import UserError

CONDENSER = "kmeans:256"

PARTS: tuple[dict[str, Any], ...] = (
    {"bases": ("wnli", "mrpc", "cola"), "ann": ("hnswlib",), "batch": (1, 32)},
    {"bases": ("cola",), "condense": (CONDENSER,), "ann": ("exact",), "batch": (1, 32)},
    {"bases": ("cola",), "condense": (CONDENSER,), "ann": ("exact",), "precision": ("bf16",)},
)
"""Axes of the cells, part by part; values of flags."""

AXES = (
    *("bases", "run", "classifier", "task", "method", "seed"),
    *("condense", "pca", "value_bits", "skip"),
    *("ann", "k", "tau", "beta", "batch", "precision", "backend"),
)
"""Flags that say what is measured: with any of them nothing of this is."""


def parts() -> tuple[list[dict[str, Any]], list[str]]:
    """The parts that this machine can measure, and of each other one why not."""
    able: list[dict[str, Any]] = []
    notes: list[str] = []
    for part in PARTS:
        try:
            for precision in part.get("precision", ()):
                environment.require(1, precision)
            able.append(part)
        except UserError as error:
            notes.append(f"Left out: {error}.")
    return able, notes
