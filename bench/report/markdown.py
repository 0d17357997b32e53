"""The report as Markdown; columns are padded, so that it also reads well as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report.document import Report
from bench.report.table import Table


def render(report: Report) -> str:
    """The whole report.

    What was found comes first, as a list; a sentence above or below a table is a paragraph of
    its own.
    """
    found = "\n".join(f"- {escape(line)}" for line in report.headline)
    parts = [f"# {escape(report.title)}", *([found] if found else []), *map(escape, report.lead)]
    for table in report.tables:
        parts += [f"## {escape(table.title)}", *([grid(table)] if table.rows else [])]
        parts += map(escape, table.notes)
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


def escape(text: str) -> str:
    r"""``text`` on one line, with nothing that Markdown would read as its own.

    >>> escape("a|b <c>\n[all]")
    'a\\|b &lt;c> [all]'
    """
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
