"""The report as Markdown; columns are padded, so that it also reads well as plain text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from tabulate import tabulate

from bench.report.table import Table

if TYPE_CHECKING:
    from bench.report.document import Report

READ = re.compile(
    r"[\\|<`]"
    r"|&(?=#|[^\W_])"  # an entity
    r"|(?<=\S)\*|\*(?=\S)"  # emphasis
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis, which is not read within a word
    r"|~(?=~)|(?<=~)~"
    r"|\](?=[(\[:])"  # a link
)
"""Signs that Markdown may take for more than themselves, by what stands beside them."""

CODE = re.compile(f"(?P<code>`[^`]+`)|{READ.pattern}")
BLOCK = re.compile(r"(\d{1,9}(?=[.)](?: |$))|(?=(?:[-+*]|#{1,6})(?: |$)|-[- ]*$|\[[ xX]\]|>))")
"""The beginning of a line behind which a sign makes it a list, a heading, a rule, a quotation."""

ENTITIES = {"<": "&lt;", "&": "&amp;"}


@lru_cache(maxsize=1)
def render(report: Report) -> str:
    """The whole report; that of the last one is kept, for it is written and printed.

    What was found comes first, as a list; a sentence above or below a table is a paragraph of
    its own.
    """
    headline = "\n".join(f"- {prose(line)}" for line in report.headline)
    parts = [f"# {escape(report.title)}", *([headline] if headline else [])]
    parts += map(prose, report.lead)
    for table in report.tables:
        parts += [f"## {escape(table.title)}", *([grid(table)] if table.rows else [])]
        parts += map(prose, table.notes)
    return "\n\n".join(parts) + "\n"


def grid(table: Table) -> str:
    """The table without title and notes; every line has the same width."""
    right = len(table.columns) - table.labels
    text: str = tabulate(
        [[escape(cell) for cell in row] for row in table.rows],
        headers=[escape(name) for name in table.columns],
        tablefmt="pipe",
        colalign=("left",) * table.labels + ("right",) * right,
        disable_numparse=True,
    )
    return text


def prose(text: str) -> str:
    r"""A sentence as a paragraph or the item of a list; what stands between backticks is code.

    >>> prose("* was chosen, run `bench ls *`")
    '\\* was chosen, run `bench ls *`'
    """
    line = CODE.sub(lambda match: match["code"] or _escaped(match), " ".join(text.split()))
    return BLOCK.sub(r"\1\\", line, count=1) if BLOCK.match(line) else line


def escape(text: str) -> str:
    r"""``text`` in a line, character by character; what Markdown reads as text stays as it is.

    >>> escape("a|b <c> k_max, [0.1, 0.2]\n*x* [all](y)")
    'a\\|b &lt;c> k_max, [0.1, 0.2] \\*x\\* [all\\](y)'
    """
    return READ.sub(_escaped, " ".join(text.split()))


def _escaped(match: re.Match[str]) -> str:
    return ENTITIES.get(match[0], f"\\{match[0]}")
