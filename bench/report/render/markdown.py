"""The report as Markdown; columns are padded, so that it also reads well as plain text."""

from __future__ import annotations

import re

from tabulate import tabulate

from bench.report.table import Shown, Table

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


def render(report: Shown) -> str:
    """The whole report.

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
