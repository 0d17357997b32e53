"""Tables as LaTeX: booktabs, plain ASCII, ready to be taken into a paper by its ``input``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import PurePath

from bench.report.build import Report
from bench.report.table import Table
from bench.report.tex import breakable, escape, prose

PACKAGES = ("amssymb", "array", "booktabs", "graphicx")
"""What a document needs to input a table; all are part of every TeX distribution."""

WIDE = 48
"""Characters of a label column from which it is set as a paragraph."""

PARAGRAPH = r">{\raggedright\arraybackslash}p{0.5\textwidth}"
PER_LINE = 60
"""Characters that fit on a line of such a paragraph, roughly."""

PAGE = 40
"""Lines of a table on one page; a longer one is continued in another."""

DOCUMENT = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\usepackage[T1]{fontenc}
\usepackage{lmodern}
%(packages)s
%% Tables alone: every one may fill its page.
\renewcommand{\topfraction}{1}
\renewcommand{\floatpagefraction}{0}
\begin{document}
%(inputs)s
\end{document}
"""


def render(table: Table, label: str) -> str:
    """The table as one float, or as several where it is longer than a page.

    Figures are set right, labels left, long ones as paragraphs; a table that is wider than the
    line is scaled down to it.

    Args:
        table: what to show.
        label: what a reference to it says, e.g. ``tab:scores``.
    """
    uses = " ".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    parts = [f"% Needs {uses}"]
    chunks = list(_pages(table))
    for number, rows in enumerate(chunks):
        parts.append(_float(table, rows, label, number, last=number == len(chunks) - 1))
    return "\n".join(parts)


def files(report: Report) -> dict[PurePath, str]:
    """``<section>[-n].tex`` of every table, and ``all.tex``, a document of them all."""
    made: dict[PurePath, str] = {}
    inputs: list[str] = []
    for heading, parts in groupby(report.shown, key=lambda part: part.section.heading):
        for number, table in enumerate((t for part in parts for t in part.tables), 1):
            name = heading if number == 1 else f"{heading}-{number}"
            made[PurePath(f"{name}.tex")] = render(table, f"tab:{name}")
            inputs.append(rf"\input{{{name}}}")
        inputs += [r"\clearpage"] if inputs[-1:] != [r"\clearpage"] else []
    packages = "\n".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    body = "\n".join(inputs) if made else f"{escape(report.title)}: no tables."
    made[PurePath("all.tex")] = DOCUMENT % {"packages": packages, "inputs": body}
    return made


def _figure(text: str) -> str:
    """A figure, its minus as one."""
    return re.sub(r"(?<![\w}])-(?=[\d.])", "$-$", escape(text))


def _pages(table: Table) -> Iterator[Sequence[tuple[str, ...]]]:
    """The rows, in parts that fit on a page each; an empty table is one part."""
    page: list[tuple[str, ...]] = []
    used = 0
    for row in table.rows:
        lines = max((1 + len(cell) // PER_LINE for cell in row[: table.labels]), default=1)
        if page and used + lines > PAGE:
            yield page
            page, used = [], 0
        page.append(row)
        used += lines
    yield page


def _float(
    table: Table, rows: Sequence[tuple[str, ...]], label: str, number: int, *, last: bool
) -> str:
    continued = " (continued)" if number else ""
    long = _long(table)
    lines = [
        r"\begin{table}[htbp]",
        r"\addtocounter{table}{-1}" if number else "",
        r"\centering",
        rf"\caption{{{prose(table.title)}{continued}}}",
        "" if number else rf"\label{{{label}}}",
        r"\medskip",
        r"\setbox0=\hbox{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{_columns(table, long)}@{{}}}}",
        r"\toprule",
        _line([escape(name) for name in table.columns]),
        r"\midrule",
        *(_line(_cells(row, table.labels, long)) for row in rows),
        r"\bottomrule",
        r"\end{tabular}}}%",
        r"\leavevmode\copy0",
    ]
    if last and table.notes:
        lines.append(r"\par\smallskip")
        # As wide as the table, which makes no narrow column of a narrow table's notes.
        width = r"\ifdim\wd0<0.6\linewidth 0.6\linewidth\else\wd0\fi"
        lines.append(rf"\begin{{minipage}}{{{width}}}\footnotesize\raggedright")
        lines += [prose(note) + r"\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    lines.append(r"\end{table}")
    return "\n".join(line for line in lines if line) + "\n"


def _long(table: Table) -> frozenset[int]:
    """The label columns that are set as paragraphs."""
    longest = {n: max((len(row[n]) for row in table.rows), default=0) for n in range(table.labels)}
    return frozenset(number for number, length in longest.items() if length > WIDE)


def _columns(table: Table, long: frozenset[int]) -> str:
    kinds = ["l"] * table.labels + ["r"] * (len(table.columns) - table.labels)
    return "".join(PARAGRAPH if n in long else kind for n, kind in enumerate(kinds))


def _cells(row: Sequence[str], labels: int, long: frozenset[int]) -> Iterator[str]:
    for number, cell in enumerate(row):
        if number in long:
            yield breakable(cell)
        else:
            yield escape(cell) if number < labels else _figure(cell)


def _line(cells: Iterable[str]) -> str:
    r"""One row. ``[`` and ``*`` at its start would be arguments of the ``\\`` before it."""
    line = " & ".join(cells)
    return ("{}" if line[:1] in ("[", "*") else "") + line + r" \\"
