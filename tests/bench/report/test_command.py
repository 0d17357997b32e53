"""Laws of ``bench report``: which run it takes, what it writes, what it prints."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from bench.cli.main import main
from bench.records.measurements import Measurements, PlanFile
from bench.report.files import FORMATS, HTML, JSON, MARKDOWN, RUNS, TABLES, USUAL
from bench.report.render import tex
from tests.bench.measure import judged
from tests.bench.report import factory

CSV = "results.csv"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(folder: Path) -> set[str]:
    """Files in ``folder`` itself, less those that are kept for the next call."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def report(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments], prog_name="bench")


def small() -> None:
    factory.store(RUNS / "one", factory.matrix([0]))


def test_it_prints_the_markdown_that_it_writes_and_names_its_files() -> None:
    small()
    done = report()
    assert done.exit_code == 0, done.stderr
    assert names(RUNS / "one") == {"run.json", MARKDOWN, CSV, JSON, HTML}
    assert done.stderr == f"wrote {RUNS / 'one'}: {MARKDOWN}, {CSV}, {JSON}, {HTML}\n"
    assert done.stdout == (RUNS / "one" / MARKDOWN).read_text(encoding="utf-8")
    data = factory.strict((RUNS / "one" / JSON).read_text(encoding="utf-8"))
    assert data["run"]["preset"] == "glue-minilm"


def test_what_has_not_changed_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    small()
    first = report()
    assert report("--select", "scores", "--out", "other").stdout != first.stdout
    monkeypatch.setattr("bench.report.build.of_run", lambda *_, **__: pytest.fail("made again"))
    again = report()
    assert again.exit_code == 0, again.stderr
    assert again.stdout == first.stdout
    assert again.stderr.startswith("up to date in ")


def test_in_a_terminal_every_cell_of_every_table_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    broken = factory.failed(factory.training("rte"), "missing: reaugkd[annoy]")
    factory.store(RUNS / "one", [*factory.matrix(), broken])
    shown = report().stdout
    made = factory.report(Path("same"), [*factory.matrix(), broken])
    assert "\x1b[" in shown
    for table in made.tables:
        assert table.title in shown
        assert all(cell in shown for row in table.rows for cell in row)


def test_the_newest_run_is_taken_unless_one_is_named() -> None:
    for age, name in enumerate(("new", "old", "older")):
        store = factory.store(RUNS / name, [])
        os.utime(store.folder / "run.json", (10**9 - age, 10**9 - age))
    assert report().stdout.startswith("# new\n")
    assert report("old").stdout.startswith("# old\n")
    assert report(str(RUNS / "older")).stdout.startswith("# older\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ("no runs in results/runs", "bench run")),
        (["nowhere"], ("no run at nowhere", "run.json")),
        (["plain"], ("plain",)),
    ],
)
def test_no_run_is_one_line(arguments: list[str], words: tuple[str, ...]) -> None:
    Path("plain").mkdir()
    done = report(*arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert all(word in done.stderr for word in words)


def test_a_folder_that_cannot_be_written_is_named() -> None:
    factory.store(RUNS / "one", [])
    Path("file").touch()
    done = report("--out", "file/below")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "file/below" in done.stderr


def test_every_format_leaves_its_files_where_out_says() -> None:
    small()
    done = report("--format", ",".join(FORMATS), "--out", "made/here")
    assert done.exit_code == 0, done.stderr
    folder = Path("made/here")
    assert names(folder) == {MARKDOWN, CSV, "results.parquet", JSON, HTML}
    kinds = {path.suffix for path in (folder / TABLES).iterdir()}
    assert kinds == {".csv", ".parquet", ".tex"}
    assert f"{TABLES}/ (" in done.stderr
    assert names(RUNS / "one") == {"run.json"}


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ("md", {MARKDOWN}),
        ("tidy", {CSV}),
        ("parquet", {"results.parquet"}),
        ("md,JSON", {MARKDOWN, JSON}),
    ],
)
def test_only_the_formats_that_are_asked_for_are_written(given: str, files: set[str]) -> None:
    small()
    assert report("--format", given, "--out", "made").exit_code == 0
    assert names(Path("made")) == files


def test_csv_and_parquet_hold_the_same(tmp_path: Path) -> None:
    small()
    report("--format", "csv,parquet", "--out", "made")
    for path in [Path("made", CSV), *Path("made", TABLES).glob("*.csv")]:
        table = pyarrow.parquet.read_table(path.with_suffix(".parquet")).to_pylist()
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(table) > 0
        for row, other in zip(rows, table, strict=True):
            assert row.keys() == other.keys()
            for name, value in other.items():
                text = json.dumps(value) if isinstance(value, list) else str(value)
                assert row[name] == ("" if value is None else text)


def test_selecting_changes_what_is_shown_and_not_the_data() -> None:
    small()
    whole = report("--out", "whole").stdout
    part = report("--select", "scores", "--select", "task=mrpc", "--out", "part").stdout
    assert "STS-B" in whole
    assert "| kd" in part
    assert "STS-B accuracy" not in part
    assert "## Provenance" not in part
    assert "Only a part is shown" in part
    for name in (CSV, JSON):
        assert Path("part", name).read_bytes() == Path("whole", name).read_bytes()


def test_tables_are_grouped_by_a_column() -> None:
    small()
    shown = report("--group-by", "task").stdout
    assert "## Retrieval, task MRPC\n" in shown
    assert "## Retrieval, task STS-B\n" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "pfd"], "unknown format 'pfd'"),
        (["--format", "latx"], "did you mean 'latex'?"),
        (["--figures", "svgg"], "did you mean 'svg'?"),
        (["--select", "scors"], "did you mean 'scores'?"),
        (["--select", "latency"], "no such section"),
        (["--select", "task=mrcp"], "unknown task 'mrcp'"),
        (["--group-by", "metod"], "did you mean 'method'?"),
        (["--with", "nowhere"], "--with nowhere: no measurements there"),
        (["--baseline", "kdd"], "did you mean 'kd'?"),
        (["--port", "x"], "--port"),
        (["mini-0132"], "did you mean 'mini-0123'?"),
        (["--serve", "--select", "scors"], "did you mean 'scores'?"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(arguments: list[str], said: str) -> None:
    small()
    factory.store(RUNS / "mini-0123", [])
    os.utime(RUNS / "mini-0123" / "run.json", (1, 1))
    done = report(*arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert names(RUNS / "one") == {"run.json"}


def measurements(folder: Path) -> Path:
    store = Measurements(folder)
    store.create()
    store.write(judged.record())
    return folder


def test_measurements_join_the_report_of_a_run() -> None:
    small()
    measurements(RUNS / "fast")
    for given in ("fast", str(RUNS / "fast")):
        done = report("--with", given, "--out", f"made-{len(given)}")
        assert done.exit_code == 0, done.stderr
        assert "## Latency of retrieval\n" in done.stdout
        assert "## Scores\n" in done.stdout
        out = Path(f"made-{len(given)}")
        assert names(out) == {MARKDOWN, CSV, "latency.csv", JSON, HTML}
        data = factory.strict((out / JSON).read_text(encoding="utf-8"))
        assert data["measured"]["fast"]["latency"][0]["key"] == "c1"


def test_a_run_that_holds_measurements_shows_both() -> None:
    small()
    measurements(RUNS / "one")
    shown = report("one").stdout
    assert "## Latency of retrieval\n" in shown
    assert "## Scores\n" in shown


def test_a_folder_of_measurements_has_all_formats() -> None:
    measurements(Path("fast"))
    plan = PlanFile(kind="latency", command="bench latency", cells={"c1": "first"})
    Measurements(Path("fast")).write_plan(plan)
    before = Path("fast/latency.json").read_bytes()
    assert report("fast").exit_code == 0
    assert names(Path("fast")) == {MARKDOWN, "latency.csv", "latency.json", JSON, HTML}
    assert Path("fast/latency.json").read_bytes() == before
    data = factory.strict(Path("fast", JSON).read_text(encoding="utf-8"))
    assert data["latency"][0]["result"]["ratio"]["low"] == judged.record().result.ratio.low  # type: ignore[union-attr]
    assert data["plans"][0]["command"] == "bench latency"
    done = report("fast", "--format", "csv,parquet,latex", "--out", "made")
    assert done.exit_code == 0, done.stderr
    assert {"latency.csv", "latency.parquet", "latency.tex", "all.tex"} <= names(
        Path("made/tables")
    )


def test_a_part_of_measurements_leaves_their_data_whole() -> None:
    measurements(Path("fast"))
    Measurements(Path("fast")).write(judged.failed("killed"))
    report("fast", "--out", "whole")
    done = report("fast", "--select", "latency,verdict=failed", "--out", "part")
    assert done.exit_code == 0, done.stderr
    assert "| holds" not in done.stdout
    for name in ("latency.csv", JSON):
        assert Path("part", name).read_bytes() == Path("whole", name).read_bytes()


def test_measurements_have_no_baseline() -> None:
    measurements(Path("fast"))
    done = report("fast", "--baseline", "kd")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "--baseline kd: fast holds measurements" in done.stderr


HOSTILE = 'a<b> & c_d 50 % | "q" `x` {y} $z$ #1 \\w ~^'


def test_hostile_names_go_through_every_format() -> None:
    records = [factory.training(method=HOSTILE, seed=seed) for seed in (0, 1)]
    for number, record in enumerate(records):
        records[number] = record.model_copy(update={"key": f"t{number}"})
    factory.store(RUNS / "one", records)
    done = report("--format", ",".join(FORMATS), "--out", "all")
    assert done.exit_code == 0, done.stderr
    with Path("all", CSV).open(encoding="utf-8", newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} == {HOSTILE}
    table = pyarrow.parquet.read_table("all/results.parquet").to_pylist()
    assert {row["method"] for row in table} == {HOSTILE}
    data = factory.strict(Path("all", JSON).read_text(encoding="utf-8"))
    assert {row["method"] for row in data["rows"]} == {HOSTILE}
    assert "a<b>" not in Path("all", HTML).read_text(encoding="utf-8").split("<script")[0]
    assert "a<b>" not in Path("all", MARKDOWN).read_text(encoding="utf-8")
    assert tex.escape(HOSTILE) in Path("all/tables/scores.tex").read_text(encoding="ascii")


@pytest.mark.parametrize("break_at", ["\n", "\r\n", "\u2028"])
def test_a_name_with_a_line_break_breaks_no_table(break_at: str) -> None:
    record = factory.failed(factory.training(), f"first{break_at}second")
    factory.store(RUNS / "one", [record])
    done = report("--format", ",".join(FORMATS), "--out", "all")
    assert done.exit_code == 0, done.stderr
    for line in Path("all", MARKDOWN).read_text(encoding="utf-8").splitlines():
        assert ("first" in line) == ("second" in line)
    for path in Path("all/tables").glob("*.tex"):
        for line in path.read_text(encoding="ascii").splitlines():
            assert ("first" in line) == ("second" in line)


def test_the_help_names_every_format_and_what_is_usual() -> None:
    shown = " ".join(report("--help").stdout.split())
    assert f"a,b of {', '.join(FORMATS)} [default: {','.join(USUAL)}]" in shown
