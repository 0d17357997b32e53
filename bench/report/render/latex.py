"""Tables as LaTeX: booktabs, plain ASCII, ready to be taken into a paper by its ``input``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePath

from bench.report.document import Report
from bench.report.render.tex import breakable, escape, figure, prose
from bench.report.table import Table

PACKAGES = ("amssymb", "array", "booktabs", "graphicx", "textcomp")
"""What a document needs to input a table; all are part of every TeX distribution."""

USES = tuple(rf"\usepackage{{{name}}}" for name in PACKAGES)

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

FLOAT = r"""\begin{table}[htbp]
%(again)s\centering
\caption{%(caption)s}
%(label)s\medskip
\setbox0=\hbox{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%%
%(tabular)s}}%%
\leavevmode\copy0
%(notes)s\end{table}
"""
"""A table that is wider than the line is scaled down to it."""

NOTES = r"""\par\smallskip
\begin{minipage}{\ifdim\wd0<0.6\linewidth 0.6\linewidth\else\wd0\fi}\footnotesize\raggedright
%s
\end{minipage}
"""
"""As wide as the table, which makes no narrow column of a narrow table's notes."""


def render(table: Table, label: str) -> str:
    """The table as one float, or as several where it is longer than a page.

    Figures are set right, labels left, long ones as paragraphs.

    Args:
        table: what to show.
        label: what a reference to it says, e.g. ``tab:scores``.
    """
    pages = list(_pages(table))
    notes = NOTES % "\n".join(prose(note) + r"\par" for note in table.notes) if table.notes else ""
    floats = [
        FLOAT
        % {
            "again": r"\addtocounter{table}{-1}" + "\n" if number else "",
            "caption": prose(table.title) + (" (continued)" if number else ""),
            "label": "" if number else rf"\label{{{label}}}" + "\n",
            "tabular": _tabular(table, page),
            "notes": notes if page is pages[-1] else "",
        }
        for number, page in enumerate(pages)
    ]
    return "\n".join([f"% Needs {' '.join(USES)}", *floats])


def files(report: Report) -> dict[PurePath, str]:
    """``<section>[-n].tex`` of every table, and ``all.tex``, a document of them all."""
    texts: dict[PurePath, str] = {}
    inputs: list[str] = []
    for heading, parts in groupby(report.shown, key=lambda part: part.section.heading):
        for number, table in enumerate((t for part in parts for t in part.tables), 1):
            name = heading if number == 1 else f"{heading}-{number}"
            texts[PurePath(f"{name}.tex")] = render(table, f"tab:{name}")
            inputs.append(rf"\input{{{name}}}")
        inputs += [r"\clearpage"] if inputs[-1:] != [r"\clearpage"] else []
    body = "\n".join(inputs) if texts else f"{escape(report.title)}: no tables."
    texts[PurePath("all.tex")] = DOCUMENT % {"packages": "\n".join(USES), "inputs": body}
    return texts


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


def _tabular(table: Table, rows: Sequence[Sequence[str]]) -> str:
    from pandas import DataFrame

    columns, setters = "", []
    for number in range(len(table.columns)):
        is_label = number < table.labels
        is_long = is_label and any(len(row[number]) > WIDE for row in table.rows)
        columns += PARAGRAPH if is_long else "l" if is_label else "r"
        setters.append(breakable if is_long else escape if is_label else figure)
    cells = [[put(cell) for put, cell in zip(setters, row, strict=True)] for row in rows]
    titles, *cells = map(_begun, [[escape(title) for title in table.columns], *cells])
    style = DataFrame(cells, columns=titles).style.hide(axis="index")
    text: str = style.to_latex(hrules=True, column_format=f"@{{}}{columns}@{{}}")
    return text.removesuffix("\n")


def _begun(cells: list[str]) -> list[str]:
    r"""A row. ``[`` and ``*`` at its start would be arguments of the ``\\`` before it."""
    first, *others = cells
    return ["{}" + first if first[:1] in ("[", "*") else first, *others]
