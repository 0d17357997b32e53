"""No figure of a report changes unseen: every one equals its frozen copy."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.bench.report import frozen_source
from tests.bench.report.frozen_changes import Changes
from tests.bench.report.frozen_comparison import differences
from tests.bench.report.frozen_source import Files

NOTHING = Changes()
SHOWN = 40
"""Differences that a failure prints."""


@pytest.mark.parametrize("name", frozen_source.COMMANDS)
def test_every_figure_of_a_report_is_the_frozen_one(name: str, tmp_path: Path) -> None:
    lines = differences(frozen_source.frozen(name), frozen_source.files_of(name, tmp_path))
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:SHOWN])


def test_every_committed_run_is_frozen_and_the_copies_are_small() -> None:
    runs = [path for path in (frozen_source.ROOT / "results").iterdir() if path.is_dir()]
    golden = [*frozen_source.FROZEN.parent.glob("*-schema-*")]
    assert {path.name for path in (*runs, *golden)} <= frozen_source.COMMANDS.keys()
    copies = [path.name for path in frozen_source.FROZEN.iterdir()]
    assert sorted(copies) == sorted(f"{name}.json.xz" for name in frozen_source.COMMANDS)
    assert sum(path.stat().st_size for path in frozen_source.FROZEN.iterdir()) < 1_000_000


# --- the comparison itself -----------------------------------------------------------------------

RUN, MEASURED = map(frozen_source.frozen, ("run-schema-2", "measured-schema-1"))
NAMES = sorted({*RUN} | {*MEASURED})


def _other_digit(text: str, at: int) -> str:
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


def _in_text(text: str, pick: random.Random) -> str:
    """Another leading digit in one figure of a table, CSV file or body of LaTeX."""
    start, end = 0, len(text)
    if r"\midrule" in text:
        start, end = text.index(r"\midrule"), text.index(r"\bottomrule")
    figures = [
        match.start() for match in re.finditer(r"(?<![\w.{])[1-9]", text) if start < match.start()
    ]
    return _other_digit(text, pick.choice([at for at in figures if at < end]))


def _in_data(data: Any, pick: random.Random) -> Any:
    """One number in a copy of ``data`` changed in its tenth digit, or by one."""
    changed = deepcopy(data)
    numbers: list[tuple[Any, Any]] = []
    rest: list[Any] = [changed]
    while rest:
        node = rest.pop()
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, dict | list):
                rest.append(value)
            elif isinstance(value, int | float) and not isinstance(value, bool) and value:
                numbers.append((node, key))
    node, key = pick.choice(numbers)
    node[key] = node[key] + 1 if isinstance(node[key], int) else node[key] * (1 + 1e-10)
    return changed


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_figure_in_any_file_is_seen(name: str) -> None:
    content = RUN.get(name, MEASURED.get(name))
    change: Callable[[Any, random.Random], Any]
    change = _in_text if isinstance(content, str) else _in_data
    pick = random.Random(name)
    for _ in range(5):
        assert differences({name: content}, {name: change(content, pick)}, NOTHING)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_lost_is_seen(name: str) -> None:
    files = RUN if name in RUN else MEASURED
    now = {other: content for other, content in files.items() if other != name}
    assert any(line.endswith("is missing") for line in differences(files, now, NOTHING))


MARKDOWN = """# run

- kd scores 81.20

## Scores (GLUE)

| method  | mrpc accuracy |
| ------- | ------------: |
| kd      |         81.20 |
| reaugkd |         82.10 |

Over 3 seeds.
"""
LATEX = r"""\begin{table}
\caption{Scores (GLUE)}
\midrule
kd & 81.20 \\
reaugkd & $-$82.10 \\
\bottomrule
"""
CSV = "method,value.mean,n\nkd,0.812,3\nreaugkd,0.821,3\n"
ROWS = [{"method": "kd", "value.mean": 0.812}, {"method": "reaugkd", "value.mean": 0.821}]
DATA = {
    "headline": ["Over 3 seeds."],
    "scores": [{"method": "kd", "value": {"mean": 0.812}}],
    "run": {"limit": 3},
}
SMALL: Files = {
    "report.md": MARKDOWN,
    "tables/scores.tex": LATEX,
    "tables/scores.csv": CSV,
    "tables/scores.parquet": ROWS,
    "results.json": DATA,
}

SAME = {
    "padding": ("report.md", MARKDOWN.replace("kd      ", "kd")),
    "escapes": ("report.md", MARKDOWN.replace("seeds.", r"seeds\.")),
    "minus in LaTeX": ("tables/scores.tex", LATEX.replace("$-$", "-")),
    "markup in LaTeX": ("tables/scores.tex", LATEX.replace("82.10", r"\textbf{82.10}")),
    "a new field of CSV": ("tables/scores.csv", CSV.replace(",n", ",n,x").replace(",3", ",3,1")),
    "a whole number as a float": ("tables/scores.csv", CSV.replace(",3", ",3.0")),
    "nested or dotted": ("tables/scores.parquet", [
        {"method": row["method"], "value": {"mean": row["value.mean"]}} for row in ROWS
    ]),
    "a rounding": ("results.json", DATA | {
        "scores": [{"method": "kd", "value.mean": 0.812 + 1e-16}]
    }),
}  # fmt: skip

OTHER = {
    "a row lost": ("report.md", MARKDOWN.replace("| kd      |         81.20 |\n", "")),
    "a row more": ("report.md", MARKDOWN.replace("\n\nOver", "\n| rkd | 1.00 |\n\nOver")),
    "rows in another order": ("tables/scores.parquet", ROWS[::-1]),
    "a column more": ("report.md", MARKDOWN.replace("|\n", "| 1: |\n")),
    "a title": ("report.md", MARKDOWN.replace("Scores (", "Results (")),
    "a table more": ("report.md", MARKDOWN + "\n## More\n\n| a |\n| --- |\n| b |\n"),
    "a note": ("report.md", MARKDOWN.replace("3 seeds", "4 seeds")),
    "a sentence on top": ("report.md", MARKDOWN.replace("- kd scores 81.20\n", "")),
    "a label of LaTeX": ("tables/scores.tex", LATEX.replace("82.10", "82.1")),
    "a field lost": ("tables/scores.csv", CSV.replace(",n", ",m")),
    "a value gone": ("tables/scores.csv", CSV.replace("0.821", "")),
    "a setting gone": ("results.json", {"scores": DATA["scores"], "run": {}}),
    "a list gone": ("results.json", {"run": DATA["run"]}),
}


@pytest.mark.parametrize("what", SAME)
def test_markup_new_fields_and_roundings_are_no_difference(what: str) -> None:
    name, content = SAME[what]
    assert differences(SMALL, SMALL | {name: content}, NOTHING) == []


@pytest.mark.parametrize("what", OTHER)
def test_what_is_lost_added_or_moved_is_a_difference(what: str) -> None:
    name, content = OTHER[what]
    assert differences(SMALL, SMALL | {name: content}, NOTHING)


REVIEWED = {
    "a title": (
        Changes(titles={"Scores": "Results"}),
        {
            "report.md": MARKDOWN.replace("Scores (", "Results ("),
            "tables/scores.tex": LATEX.replace("Scores (", "Results ("),
        },
    ),
    "a column": (
        Changes(columns={"Scores/mrpc accuracy": "MRPC"}),
        {"report.md": MARKDOWN.replace("mrpc accuracy", "MRPC")},
    ),
    "a new column": (
        Changes(added={"md/Scores*/n": "counts", "latex/scores*/figures": "counts"}),
        {
            "report.md": re.sub(r"(\d) \|\n", r"\1 | 3 |\n", MARKDOWN)
            .replace("accuracy |", "accuracy | n |")
            .replace("-: |", "-: | --: |"),
            "tables/scores.tex": LATEX.replace(r" \\", r" & 3 \\"),
        },
    ),
    "a sentence": (
        Changes(reworded={"Over 3 seeds": "3 seeds"}),
        {
            "report.md": MARKDOWN.replace("Over 3 seeds", "3 seeds"),
            "results.json": DATA | {"headline": ["3 seeds."]},
        },
    ),
    "sections and fields": (
        Changes(
            sections={"tables/scores": "tables/score", "scores": "sections.score"},
            fields={"value": "score", "document/run": "settings"},
        ),
        {
            "tables/score.csv": CSV.replace("value", "score"),
            "tables/score.parquet": [
                {"method": row["method"], "score.mean": row["value.mean"]} for row in ROWS
            ],
            "results.json": {
                "headline": DATA["headline"],
                "sections": {"score": [{"method": "kd", "score": {"mean": 0.812}}]},
                "settings": {"limit": 3},
            },
            "tables/scores.csv": None,
            "tables/scores.parquet": None,
        },
    ),
    "fields dropped": (
        Changes(dropped={"csv/tables/scores/n": "it is in value.n"}),
        {"tables/scores.csv": CSV.replace(",n", "").replace(",3", "")},
    ),
    "rows sorted": (
        Changes(reordered={"parquet/tables/scores": "by score"}),
        {"tables/scores.parquet": ROWS[::-1]},
    ),
}


@pytest.mark.parametrize("what", REVIEWED)
def test_a_reviewed_change_is_no_difference_and_an_unreviewed_one_is(what: str) -> None:
    changes, files = REVIEWED[what]
    now = {name: content for name, content in (SMALL | files).items() if content is not None}
    assert differences(SMALL, now, NOTHING)
    assert differences(SMALL, now, changes) == []


def test_a_reviewed_name_hides_no_figure() -> None:
    now = SMALL | {"report.md": MARKDOWN.replace("Scores (", "Results (").replace("81.2", "81.3")}
    lines = differences(SMALL, now, Changes(titles={"Scores": "Results"}))
    assert any("'81.20' became '81.30'" in line for line in lines)
