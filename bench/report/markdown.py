"""The report as Markdown; columns are padded, so that it also reads well as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bench.report.document import Report
from bench.report.table import Table

_READ = re.compile(
    r"[\\|<`]"
    r"|&(?=#?\w+;)"  # an entity
    r"|\*(?=\S)|(?<=\S)\*|~(?=~)|(?<=~)~"  # emphasis
    r"|(?<![^\W_])_|_(?![^\W_])"  # the same, which is not read within a word
    r"|\](?=[(\[:])"  # a link
)
_PROSE = re.compile(rf"`[^`]+`|{_READ.pattern}")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_BLOCK = re.compile(r"(?:[-+*]|#{1,6})(?: |$)|>|-[- ]*$|\[[ xX]\]")
"""A bullet, a heading, a quotation, a rule, a box to tick: read so where a line begins only."""
_NUMBER = re.compile(r"^(\d{1,9})([.)])(?= |$)")


def render(report: Report) -> str:
    """The whole report.

    What was found comes first, as a list; a sentence above or below a table is a paragraph of
    its own.
    """
    found = "\n".join(f"- {prose(line)}" for line in report.headline)
    parts = [f"# {escape(report.title)}", *([found] if found else []), *map(prose, report.lead)]
    for table in report.tables:
        parts += [f"## {escape(table.title)}", *([grid(table)] if table.rows else [])]
        parts += map(prose, table.notes)
    return "\n\n".join(parts) + "\n"


def grid(table: Table) -> str:
    """The table without title and notes; every line has the same width."""
    lines = [[escape(cell) for cell in line] for line in (table.columns, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = [
        "-" * width if number < table.labels else "-" * (width - 1) + ":"
        for number, width in enumerate(widths)
    ]
    header, *rows = (list(_padded(line, widths, table.labels)) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))


def _padded(line: Sequence[str], widths: Sequence[int], labels: int) -> Iterator[str]:
    for number, (cell, width) in enumerate(zip(line, widths, strict=True)):
        yield cell.ljust(width) if number < labels else cell.rjust(width)


def prose(text: str) -> str:
    r"""A sentence as a paragraph or the item of a list; what stands between backticks is code.

    >>> prose("* was chosen, run `bench ls *`")
    '\\* was chosen, run `bench ls *`'
    """
    made = _PROSE.sub(_literal, " ".join(text.split()))
    if _BLOCK.match(made):
        return "\\" + made
    return _NUMBER.sub(r"\1\\\2", made)


def escape(text: str) -> str:
    r"""``text`` in a line, character by character; what Markdown reads as text stays as it is.

    >>> escape("a|b <c> k_max, [0.1, 0.2]\n*x* [all](y)")
    'a\\|b &lt;c> k_max, [0.1, 0.2] \\*x\\* [all\\](y)'
    """
    return _READ.sub(_literal, " ".join(text.split()))


def _literal(found: re.Match[str]) -> str:
    """What Markdown shows as the sign that was found; code stays."""
    return found[0] if len(found[0]) > 1 else _ENTITIES.get(found[0], f"\\{found[0]}")
