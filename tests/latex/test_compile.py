"""The tables go through pdflatex: `tox run -e latex`, with the packages that CONTRIBUTING names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bench.records.measurements import Measurements
from bench.report import build, files
from bench.report.document import Report
from bench.report.inputs import MeasuredInputs
from bench.report.render import latex, tex
from bench.report.table import Table
from tests.bench.measure import judged
from tests.bench.report import factory, small

pytestmark = pytest.mark.latex

RESULTS = Path(__file__).parents[2] / "results"


def compiled(report: Report, folder: Path) -> str:
    """Write and compile all tables twice, for the references; what TeX said."""
    files.write(folder, files.contents(report, report, ["latex"]))
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=folder / files.TABLES,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / files.TABLES / "all.pdf").read_bytes().startswith(b"%PDF")
    return done.stdout


def fits(said: str) -> bool:
    """Whether nothing stands over the margin by more than a point, or over the page."""
    over = [float(points) for points in re.findall(r"Overfull \\hbox \((\S+?)pt too wide", said)]
    return all(points < 1 for points in over) and "Float too large" not in said


def test_the_report_of_a_run_compiles_and_fits(tmp_path: Path) -> None:
    said = compiled(factory.report(tmp_path / "run", factory.matrix()), tmp_path)
    assert fits(said)
    assert "undefined" not in said.lower()


@pytest.mark.parametrize("name", ["glue-minilm", "glue-minilm-retrieval", "latency"])
def test_committed_results_compile_and_fit(name: str, tmp_path: Path) -> None:
    from bench.report.request import Request

    assert fits(compiled(Request(RESULTS / name).make()[0], tmp_path))


def test_every_sign_and_every_printable_character_compiles(tmp_path: Path) -> None:
    signs = [
        *tex.OURS,
        *"≤≥≠≈∞→←√–—…‘’“”§†‡•−×±β",
        *map(chr, range(0x20, 0x24F)),
        "中",
        "🙂",
        "\x07",
        "\u0301",
    ]
    rows = tuple((f"{sign} {sign}{sign}", f"U+{ord(sign):04X}", f"-{sign}1") for sign in signs)
    notes = tuple(f"`{sign}` {sign}" for sign in signs if sign != "`")
    table = Table("All of " + "".join(signs[:40]), ("a_b", "c&d", "%"), rows, 2, notes[:60])
    compiled(small.tables(table), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "a<b> & c_d",
        "100 % {of} #1 $x^2$ ~",
        "\\input{secret}",
        "back\\slash\\\\",
        "[1] *2",
        "q\"u`o't",
    ],
)
def test_hostile_names_compile_in_every_place(name: str, tmp_path: Path) -> None:
    table = Table(name, (name, name, "x"), ((name, "y" * 100 + name, name),) * 3, 2, (name,))
    empty = Table(name, (name,), ())
    compiled(small.tables(table, empty), tmp_path)


def test_measurements_compile(tmp_path: Path) -> None:
    store = Measurements(tmp_path / "m")
    store.create()
    store.write(judged.record())
    store.write(judged.failed("killed: 50 % of_it"))
    assert fits(compiled(build.of_measurements(MeasuredInputs(store)), tmp_path))


def test_a_table_alone_goes_into_a_plain_document(tmp_path: Path) -> None:
    """As in a paper: an ordinary class, two columns, the packages of the first line."""
    made = factory.report(tmp_path / "run", factory.matrix())
    found = latex.files(made)
    (tmp_path / "scores.tex").write_text(next(iter(found.values())), encoding="ascii")
    uses = "".join(rf"\usepackage{{{name}}}" for name in latex.PACKAGES)
    text = rf"\documentclass[twocolumn]{{article}}{uses}\begin{{document}}Table~\ref{{tab:scores}}."
    text += "\n\\input{scores}\n\\end{document}\n"
    (tmp_path / "paper.tex").write_text(text, encoding="ascii")
    for _ in range(2):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
    assert fits(done.stdout)
    assert "undefined references" not in done.stdout
