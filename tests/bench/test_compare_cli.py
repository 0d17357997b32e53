"""Laws of ``bench compare``: what it prints, what it writes, how it ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli.compare import HTML, JSON, MARKDOWN
from bench.cli.main import main
from tests.bench.report import factory


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, share in (("one", 0.7), ("two", 0.8)):
        factory.kept(Path("results/runs") / name, factory.contest({"kd": share}))


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", *arguments], prog_name="bench")


def test_in_a_pipe_it_is_markdown_and_the_exit_code_is_0() -> None:
    done = bench("one", "two")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("# two against one\n")
    assert "1 better" in done.stdout
    assert bench("one", "results/runs/two").stdout == done.stdout
    assert bench("one", "two", "--format", "md").stdout == done.stdout


def test_json_is_strict_and_alone_on_standard_output() -> None:
    done = bench("one", "two", "--format", "json")
    data = factory.strict(done.stdout)
    assert [run["name"] for run in data["runs"]] == ["one", "two"]
    assert data["comparisons"][0]["verdict"] == "better"


def test_a_terminal_gets_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    shown = bench("one", "two").stdout
    assert "\x1b[" in shown
    assert "Differences from one" in shown


def test_out_gets_the_files_and_the_runs_stay_as_they_are() -> None:
    before = sorted(Path("results").rglob("*"))
    done = bench("one", "two", "--out", "made/here")
    assert {path.name for path in Path("made/here").iterdir()} == {MARKDOWN, JSON, HTML}
    assert Path("made/here", MARKDOWN).read_text(encoding="utf-8") == done.stdout
    page = Path("made/here", HTML).read_text(encoding="utf-8")
    assert "two against one" in page
    assert "Differences from one" in page
    assert sorted(Path("results").rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["one"], "at least two runs"),
        (["one", "one"], "one is given twice"),
        (["one", "tow"], "did you mean 'two'?"),
        (["one", "no/where"], "no run at no/where"),
        (["one", "two", "--format", "yaml"], "'yaml' is not one of"),
        (["one", "two", "--out", "results/runs/one/run.json"], "run.json"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str) -> None:
    done = bench(*arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_a_full_disk_leaves_the_files_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    bench("one", "two", "--out", "made")
    before = {path.name: path.read_bytes() for path in Path("made").iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    done = bench("two", "one", "--out", "made")
    assert (done.exit_code, done.stderr) == (
        2, "error: cannot write the report to made: No space left on device\n"
    )  # fmt: skip
    assert {path.name: path.read_bytes() for path in Path("made").iterdir()} == before
