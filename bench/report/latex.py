"""Tables as LaTeX: booktabs, plain ASCII, ready to be ``\\input`` into a paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from bench.report.document import Report
from bench.report.table import Table

PACKAGES = ("amssymb", "array", "booktabs", "graphicx")
"""What a document needs to input a table; all are part of every TeX distribution."""

WIDE = 48
"""Characters of a label column from which it is set as a paragraph."""

PARAGRAPH = r">{\raggedright\arraybackslash}p{0.5\textwidth}"
LONG_WORD = 24
"""Characters of a word that may be broken in it, after a sign."""

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

SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "√": r"$\surd$",
    "°": r"$^{\circ}$",
    "²": r"$^2$",
    "³": r"$^3$",
    "½": r"$\frac{1}{2}$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "«": r"\guillemotleft{}",
    "»": r"\guillemotright{}",
    "§": r"\S{}",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "•": r"\textbullet{}",
    "★": r"$\bigstar$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "µ": r"$\mu$",
    "ο": "o",
    "\u00a0": "~",
    "\u202f": r"\,",
}
"""Characters with a command of their own; all but the Greek letters and the bars, see below."""

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "finalsigma sigma tau upsilon phi chi psi omega"
).split()
SIGNS |= {
    chr(0x3B1 + number): rf"$\{name}$"
    for number, name in enumerate(GREEK)
    if name not in ("omicron", "finalsigma")
}
SIGNS |= {
    letter: rf"$\{name}$"
    for letter, name in zip(
        "ΓΔΘΛΞΠΣΦΨΩ", "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), strict=True
    )
}
SIGNS |= {bar: rf"\rule{{0.4em}}{{0.{height}em}}" for height, bar in enumerate("▁▂▃▄▅▆▇█", 1)}
"""Sparklines: rules of eight heights."""

ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
    "\u0328": "k",
}  # fmt: skip
"""Combining characters and the command that puts them on a letter."""

JOINED = ("--", "''", ",,", "?`", "!`")
"""What TeX would make another character of."""


def escape(text: str) -> str:
    r"""``text`` on one line, as TeX shows it character by character.

    What pdfTeX has no character for appears as its code, e.g. ``[U+4E2D]``; nothing is dropped.

    >>> print(escape("a_b & 50 % of {x} -- ±2 <µs>"))
    a\_b \& 50 \% of \{x\} -{}- $\pm$2 \textless{}$\mu$s\textgreater{}
    """
    made = ""
    for character in unicodedata.normalize("NFC", " ".join(text.split())):
        sign = _sign(character)
        made += ("{}" if made[-1:] + sign[:1] in JOINED else "") + sign
    return made


def render(table: Table, label: str) -> str:
    """The table as one float, or as several where it is longer than a page.

    Figures are set right, labels left, long ones as paragraphs; a table that is wider than the
    line is scaled down to it.

    Args:
        table: what to show.
        label: for ``\\ref``, e.g. ``tab:scores``.
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
    for section in report.sections:
        for number, table in enumerate(section.tables, 1):
            name = section.name if number == 1 else f"{section.name}-{number}"
            made[PurePath(f"{name}.tex")] = render(table, f"tab:{name}")
    inputs = "\n".join(rf"\input{{{path.stem}}}\clearpage" for path in made)
    packages = "\n".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    empty = f"{escape(report.title)}: no tables."
    made[PurePath("all.tex")] = DOCUMENT % {"packages": packages, "inputs": inputs or empty}
    return made


def _sign(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    if " " <= character <= "~":
        return character
    letter, *marks = unicodedata.normalize("NFD", character)
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in ACCENTS:
        dotless = {"i": r"\i ", "j": r"\j "}.get(letter, letter)
        return rf"\{ACCENTS[marks[0]]}{{{dotless.strip()}}}"
    return f"[U+{ord(character):04X}]"


def _prose(text: str) -> str:
    """A sentence; what stands between backticks is set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(
        rf"\texttt{{{escape(part)}}}" if number % 2 else _spaced(part)
        for number, part in enumerate(parts)
    )


def _spaced(text: str) -> str:
    """Escaped, with the blanks that separate it from its neighbours."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and text.strip() else ""
    return before + escape(text) + after


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
        rf"\caption{{{_prose(table.title)}{continued}}}",
        "" if number else rf"\label{{{label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{_columns(table, long)}@{{}}}}",
        r"\toprule",
        _line([escape(name) for name in table.columns]),
        r"\midrule",
        *(_line(_cells(row, table.labels, long)) for row in rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    if last and table.notes:
        lines.append(r"\par\smallskip")
        lines.append(r"\begin{minipage}{\linewidth}\footnotesize")
        lines += [_prose(note) + r"\par" for note in table.notes]
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
            yield _breakable(cell)
        else:
            yield escape(cell) if number < labels else _figure(cell)


def _breakable(text: str) -> str:
    """Escaped, with leave to break long words after a sign."""
    return " ".join(
        r"\allowbreak{}".join(map(escape, re.findall(r"[^/,:=;_.+-]*[/,:=;_.+-]|.+$", word)))
        if len(word) > LONG_WORD
        else escape(word)
        for word in text.split()
    )


def _line(cells: Iterable[str]) -> str:
    r"""One row. ``[`` and ``*`` at its start would be arguments of the ``\\`` before it."""
    line = " & ".join(cells)
    return ("{}" if line[:1] in ("[", "*") else "") + line + r" \\"
