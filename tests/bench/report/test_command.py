"""Laws of ``bench report``: which run it takes, what it writes, what it prints."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli.main import main
from bench.report.files import CSV, JSON, MARKDOWN, RUNS
from tests.bench.report import factory


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def report(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments], prog_name="bench")


def test_it_writes_three_files_beside_the_cells_and_says_so() -> None:
    factory.store(RUNS / "one", factory.matrix())
    done = report()
    assert done.exit_code == 0
    assert {path.name for path in (RUNS / "one").iterdir()} == {
        "cells", "run.json", MARKDOWN, CSV, JSON
    }  # fmt: skip
    assert done.stderr == f"wrote {RUNS / 'one'}: {MARKDOWN}, {CSV}, {JSON}\n"


def test_in_a_pipe_it_prints_the_markdown_that_it_writes() -> None:
    factory.store(RUNS / "one", factory.matrix())
    assert report().stdout == (RUNS / "one" / MARKDOWN).read_text(encoding="utf-8")


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


def test_the_files_go_where_out_says() -> None:
    factory.store(RUNS / "one", factory.matrix())
    assert report("--out", "made/here").exit_code == 0
    assert {path.name for path in Path("made/here").iterdir()} == {MARKDOWN, CSV, JSON}
    assert not (RUNS / "one" / MARKDOWN).exists()


def test_the_newest_run_is_taken_unless_one_is_named() -> None:
    for age, name in enumerate(("new", "old", "older")):
        store = factory.store(RUNS / name, [])
        os.utime(store.folder / "run.json", (10**9 - age, 10**9 - age))
    assert report().stdout.startswith("# new\n")
    assert report("old").stdout.startswith("# old\n")
    assert report(str(RUNS / "older")).stdout.startswith("# older\n")


def test_the_json_file_is_strict() -> None:
    factory.store(RUNS / "one", factory.matrix([0]))
    report()
    data = factory.strict((RUNS / "one" / JSON).read_text(encoding="utf-8"))
    assert data["run"]["preset"] == "glue-minilm"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ("no runs in results/runs", "bench run")),
        (["nowhere"], ("no run at nowhere", "run.json")),
    ],
)
def test_no_run_is_one_line(arguments: list[str], words: tuple[str, ...]) -> None:
    done = report(*arguments)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)


def test_a_misspelt_run_gets_the_nearest_name() -> None:
    factory.store(RUNS / "mini-0123", [])
    assert "did you mean 'mini-0123'?" in report("mini-0132").stderr


def test_a_folder_without_a_plan_is_named() -> None:
    Path("plain").mkdir()
    assert "plain" in report("plain").stderr
    assert report("plain").exit_code == 2


def test_a_folder_that_cannot_be_written_is_named() -> None:
    factory.store(RUNS / "one", [])
    Path("file").touch()
    done = report("--out", "file/below")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "file/below" in done.stderr


def test_the_report_of_a_run_can_be_made_again() -> None:
    factory.store(RUNS / "one", factory.matrix())
    first = report().stdout
    assert report().stdout == first
