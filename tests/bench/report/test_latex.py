"""Laws of LaTeX: every character is TeX's to show, none is TeX's to obey."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.render import latex, tex
from bench.report.table import Table
from tests.bench.report import factory, small

COMMAND = re.compile(r"\\[A-Za-z]+(?:\{\})?|\\[^A-Za-z]")


@given(st.text())
def test_no_character_of_a_name_is_a_command(text: str) -> None:
    escaped = tex.escape(text)
    assert escaped.isascii()
    assert escaped.isprintable()
    bare = COMMAND.sub("", escaped)
    assert not set("&%#_~^\\$") & set(bare)
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("snake_case", r"snake\_case"),
        ("50 % & more", r"50 \% \& more"),
        ("{x} $y$ #1", r"\{x\} \$y\$ \#1"),
        ("~ ^ \\", r"{\textasciitilde} {\textasciicircum} {\textbackslash}"),
        ("a<b>|c", r"a\textless{}b\textgreater{}\textbar{}c"),
        ("84.3 ± 0.5", r"84.3 \ensuremath{\pm} 0.5"),
        ("32 × 64 – 5 µs…", r"32 {\texttimes} 64 {\textendash} 5 {\textmu}s{\textellipsis}"),
        ("β τ", r"\ensuremath{\beta} \ensuremath{\tau}"),
        ("0.6 ✗ 0.5 ✓", r"0.6 \ensuremath{\times} 0.5 \ensuremath{\checkmark}"),
        ("--methods ''", "-{}-methods '{}'"),
        ("– ---", r"{\textendash} -{}-{}-"),
        ("naïve Ångström çà", r"na{\"\i}ve \r{A}ngstr\"om \c{c}\`a"),
        ("two\nlines\tand  blanks", "two lines and blanks"),
        ("中 \x00", "[U+4E2D] [U+0000]"),
        ("▁█·", r"\rule{0.4em}{0.1em}\rule{0.4em}{0.8em}{\textperiodcentered}"),
    ],
)
def test_what_characters_become(text: str, shown: str) -> None:
    assert tex.escape(text) == shown


def lines(table: Table) -> list[str]:
    return [line for line in latex.render(table, "tab:t").splitlines() if line.endswith(r" \\")]


def test_every_row_has_as_many_cells_as_there_are_columns() -> None:
    rows = tuple((f"a&b_{n}", "1 & 2", "|") for n in range(5))
    table = Table("t", ("x & y", "b", "c"), rows)
    assert len(lines(table)) == 1 + len(rows)
    assert all(re.sub(r"\\&", "", line).count("&") == 2 for line in lines(table))


@pytest.mark.parametrize("start", ["[0.1, 0.2]", "*starred"])
def test_no_row_begins_with_an_argument_of_the_one_before(start: str) -> None:
    assert all(line.startswith("{}") for line in lines(Table("t", (start,), ((start,), (start,)))))


def test_labels_are_left_figures_right_and_long_labels_paragraphs() -> None:
    text = latex.render(Table("t", ("a", "b", "c"), (("x", "y" * 200, "1"),), labels=2), "tab:t")
    (spec,) = re.findall(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}", text)
    assert re.sub(r">\{.*?\}p\{.*?\}", "p", spec) == "lpr"


def test_a_minus_is_a_minus_in_figures_and_a_hyphen_in_names() -> None:
    (_, row) = lines(Table("t", ("name", "x"), (("tau-1", "-0.10 [-1.2, 0.3]"),)))
    assert row == r"tau-1 & \ensuremath{-}0.10 [\ensuremath{-}1.2, 0.3] \\"


def test_a_long_table_is_continued_and_loses_no_row() -> None:
    rows = tuple((str(number), "1") for number in range(3 * latex.PAGE))
    text = latex.render(Table("t", ("a", "b"), rows, notes=("once",)), "tab:t")
    assert text.count(r"\begin{table}") == 3
    assert text.count(r"\label{tab:t}") == 1
    assert text.count("(continued)") == 2
    assert text.count("once") == 1
    assert [line.split(" ")[0] for line in text.splitlines() if line.endswith("& 1 \\\\")] == [
        row[0] for row in rows
    ]


def test_environments_are_closed(tmp_path: Path) -> None:
    for text in latex.files(factory.report(tmp_path, factory.matrix())).values():
        for name in ("table", "tabular", "minipage", "document"):
            assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")


def test_code_in_a_note_is_set_as_code() -> None:
    text = latex.render(Table("t", ("a",), (), notes=("by `bench run --seeds 1` now",)), "tab:t")
    assert r"by \texttt{bench run -{}-seeds 1} now\par" in text


def test_every_table_has_a_file_and_the_document_inputs_them_all(tmp_path: Path) -> None:
    made = factory.report(tmp_path, factory.matrix())
    found = latex.files(made)
    document = found.pop(PurePath("all.tex"))
    assert len(found) == len(made.tables)
    assert re.findall(r"\\input\{(.*?)\}", document) == [path.stem for path in found]
    labels = [re.findall(r"\\label\{(.*?)\}", text) for text in found.values()]
    assert len({label for (label,) in labels}) == len(found)


def test_packages_that_a_table_needs_are_those_of_the_document() -> None:
    texts = latex.files(small.report())
    for name in latex.PACKAGES:
        assert rf"\usepackage{{{name}}}" in texts[PurePath("scores.tex")].splitlines()[0]
        assert rf"\usepackage{{{name}}}" in texts[PurePath("all.tex")]


def test_a_report_without_tables_is_still_a_document() -> None:
    text = latex.files(small.report(title="a_b", parts=()))[PurePath("all.tex")]
    assert r"a\_b: no tables." in text
