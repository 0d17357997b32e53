"""The report as Markdown; columns are padded, so that it also reads well as plain text."""

from __future__ import annotations

from tabulate import tabulate

from bench.report.table import Shown, Table

ENTITIES = {"<": "&lt;", "&": "&amp;"}


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
    line = " ".join(text.split())
    parts = line.split("`")
    if len(parts) % 2 == 0 or not all(parts[1::2]):
        return _paragraph(escape(line))
    ends = [" ", *["`"] * (len(parts) - 1), " "]
    parts[::2] = [
        _escaped(part, ends[place], ends[place + 1])
        for place, part in enumerate(parts)
        if place % 2 == 0
    ]
    return _paragraph("`".join(parts))


def escape(text: str) -> str:
    r"""``text`` in a line, character by character; what Markdown reads as text stays as it is.

    >>> escape("a|b <c> k_max, [0.1, 0.2]\n*x* [all](y)")
    'a\\|b &lt;c> k_max, [0.1, 0.2] \\*x\\* [all\\](y)'
    """
    return _escaped(" ".join(text.split()), " ", " ")


def _escaped(text: str, before: str, after: str) -> str:
    around = zip(before + text, text, text[1:] + after, strict=False)
    return "".join(
        ENTITIES.get(sign, f"\\{sign}") if _is_read(left, sign, right) else sign
        for left, sign, right in around
    )


def _is_read(left: str, sign: str, right: str) -> bool:
    """Whether Markdown may take a sign for more than itself, by what stands beside it."""
    match sign:
        case "\\" | "|" | "<" | "`":
            return True
        case "&":  # an entity
            return right == "#" or right.isalnum()
        case "*":  # emphasis
            return not (left.isspace() and right.isspace())
        case "~":
            return "~" in (left, right)
        case "_":  # emphasis, which is not read within a word
            return not (left.isalnum() and right.isalnum())
        case "]":  # a link
            return right in "([:"
    return False


def _paragraph(line: str) -> str:
    """The line with a backslash where its beginning would make it another block."""
    word, _, _ = line.partition(" ")
    number, mark = word[:-1], word[-1:]
    if mark in (".", ")") and number.isdecimal() and len(number) < 10:
        return f"{number}\\{line[len(number) :]}"
    bullet = word in ("-", "+", "*")
    heading = set(word) == {"#"} and len(word) <= 6
    rule = line.startswith("-") and not line.strip("- ")
    box = line[:3] in ("[ ]", "[x]", "[X]")
    return f"\\{line}" if bullet or heading or rule or box or line.startswith(">") else line
