"""Laws of a kept report: found while nothing changed, made again whenever something did."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.store import Store, StoreError
from bench.report import kept
from bench.report.document import Report
from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.files import write
from bench.report.kept import FOLDER, NEWEST, Kept, stamp
from bench.report.render import markdown
from reaugkd.artifacts.store import checksum
from tests.bench.report import factory

OPTIONS = {"formats": ["md"], "baseline": None}


@pytest.fixture
def run(tmp_path: Path) -> Store:
    store = factory.store(tmp_path / "run", factory.matrix([0]))
    store.write(factory.training(), {"logits.dev": factory.truth()[:, None]})
    (store.folder / "measurements").mkdir()
    return store


def sums(*paths: Path) -> dict[Path, str]:
    return {path: checksum(path) for path in paths}


def made(folder: Path) -> Report:
    report = factory.report(folder, factory.matrix([0]))
    series = Series("s", ("a", 1.0, None), (0.5, None, 1.0), texts=("x", "<y>", ""))
    panel = Panel("", Axis("k", log=True), Axis("score"), (series,), (Rule("3 %", 3.0),))
    figures = (Figure("k", "K", "Nothing is shown.", (panel,), ("a note",)),)
    first, *others = report.sections
    sections = (replace(first, figures=figures), *others)
    return replace(report, headline=("KD won | or not.",), sections=sections)


def test_nothing_new_gives_the_same_stamp(run: Store) -> None:
    assert stamp([run.folder], OPTIONS) == stamp([run.folder], dict(reversed(OPTIONS.items())))


def rewrite(run: Store, key: str = "t-mrpc-kd-0", suffix: str = "json") -> None:
    path = run.cells / f"{key}.{suffix}"
    content, times = path.read_bytes(), path.stat()
    temporary = path.with_name(".new")
    temporary.write_bytes(content[:-1] + b" ")  # of the same size, and as old as it was
    temporary.replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


CHANGES: dict[str, Callable[[Store], object]] = {
    "a new cell": lambda run: run.write(factory.training(seed=9)),
    "a cell written again": rewrite,
    "a cell of another time": lambda run: os.utime(run.cells / "t-mrpc-kd-0.json", (1, 1)),
    "other outputs": lambda run: rewrite(run, suffix="npz"),
    "a damaged cell": lambda run: (run.cells / "t-mrpc-kd-0.json").write_text("{"),
    "a cell less": lambda run: (run.cells / "t-mrpc-kd-0.json").unlink(),
    "outputs less": lambda run: (run.cells / "t-mrpc-kd-0.npz").unlink(),
    "another plan": lambda run: run.write_run({"cells": []}),
    "a history": lambda run: (run.folder / "history.jsonl").write_text("{}\n"),
    "a measurement": lambda run: (run.folder / "measurements" / "x.json").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_report_reads_changes_the_stamp(change: str, run: Store) -> None:
    before = stamp([run.folder], OPTIONS)
    CHANGES[change](run)
    assert stamp([run.folder], OPTIONS) != before


def test_what_a_report_writes_and_what_is_half_written_does_not(run: Store) -> None:
    before = stamp([run.folder], OPTIONS)
    for name in ("report.md", "results.csv", "report.html", "cells/.x.json.12.tmp"):
        (run.folder / name).write_text("x")
    (run.folder / "tables").mkdir()
    Kept(run.folder).keep(before, made(run.folder / "other"), sums(run.folder / "report.md"))
    assert stamp([run.folder], OPTIONS) == before


def test_options_and_further_folders_change_the_stamp(run: Store, tmp_path: Path) -> None:
    other = factory.store(tmp_path / "other", []).folder
    found = {
        stamp([run.folder], OPTIONS),
        stamp([run.folder], OPTIONS | {"baseline": "kd"}),
        stamp([run.folder], {}),
        stamp([run.folder, other], OPTIONS),
        stamp([other, run.folder], OPTIONS),
        stamp([other], OPTIONS),
        stamp([], OPTIONS),
        stamp([tmp_path / "nowhere"], OPTIONS),
    }
    assert len(found) == 8


@pytest.mark.parametrize("name", ["__version__", "_versions"])
def test_another_version_of_the_project_or_of_a_library_changes_the_stamp(
    name: str, run: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stamp([run.folder], OPTIONS)
    monkeypatch.setattr(kept, name, "9" if name == "__version__" else lambda: [("plotly", "9")])
    kept._source.cache_clear()
    try:
        assert stamp([run.folder], OPTIONS) != before
    finally:
        kept._source.cache_clear()


def test_a_template_counts_as_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "bench"
    (package / "report" / "templates").mkdir(parents=True)
    (package / "__init__.py").touch()
    style = package / "report" / "templates" / "style.css"
    monkeypatch.setattr("bench.__file__", str(package / "__init__.py"))
    found = []
    try:
        for text in ("a", "b"):
            style.write_text(text)
            kept._source.cache_clear()
            found.append(stamp([], {}))
    finally:
        kept._source.cache_clear()
    assert found[0] != found[1]


def test_what_is_shown_is_found_as_it_was(tmp_path: Path) -> None:
    report, out = made(tmp_path / "run"), tmp_path / "out"
    out.mkdir()
    files = [out / "report.md", out / "tables" / "scores.csv"]
    files[1].parent.mkdir()
    for path in files:
        path.write_text(path.name)
    Kept(out).keep("abc", report, sums(*files))
    found = Kept(out).find("abc")
    assert found is not None
    assert found.files == tuple(files)
    bare = tuple(replace(section, records=()) for section in report.sections)
    assert found.report == replace(report, sections=bare, rows=[], data={})
    assert markdown.render(found.report) == markdown.render(report)
    assert Kept(out).find("abd") is None


def test_git_does_not_see_it(tmp_path: Path) -> None:
    Kept(tmp_path).keep("abc", made(tmp_path / "run"), {})
    assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("mine")])
def test_a_file_that_was_changed_or_deleted_is_made_again(
    harm: Callable[[Path], object], tmp_path: Path
) -> None:
    files = [tmp_path / "report.md", tmp_path / "results.csv"]
    for path in files:
        path.write_text("text")
    store = Kept(tmp_path)
    store.keep("abc", made(tmp_path / "run"), sums(*files))
    os.utime(files[1], (1, 1))  # another time alone is no other file
    assert store.find("abc") is not None
    harm(files[1])
    assert store.find("abc") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"title": 1}', "\x00", "null"])
def test_a_damaged_kept_file_is_as_none(text: str, tmp_path: Path) -> None:
    store = Kept(tmp_path)
    store.keep("abc", made(tmp_path / "run"), {})
    path = tmp_path / FOLDER / "abc.json"
    whole = path.read_text()
    for content in (text, whole[: len(whole) // 2], whole[:-1], whole + "x"):
        path.write_text(content)
        assert store.find("abc") is None
    path.write_text(whole)
    assert store.find("abc") is not None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store, report = Kept(tmp_path), made(tmp_path / "run")
    for number in range(NEWEST + 3):
        store.keep(f"s{number}", report, {})
        os.utime(tmp_path / FOLDER / f"s{number}.json", (number, number))
    there = [number for number in range(NEWEST + 3) if store.find(f"s{number}")]
    assert there == list(range(3, NEWEST + 3))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write to .*\.report: "):
        Kept(tmp_path).keep("abc", made(tmp_path / "run"), {})


def test_what_is_kept_is_what_was_written_and_not_what_another_wrote_then(tmp_path: Path) -> None:
    """Two reports into one folder at a time: the files are of the one that wrote last."""
    report = made(tmp_path / "run")
    first = write(report, tmp_path / "out", ["md"])
    second = write(replace(report, title="other"), tmp_path / "out", ["md"])
    store = Kept(tmp_path / "out")
    store.keep("first", report, first)
    store.keep("second", report, second)
    assert store.find("first") is None
    assert store.find("second") is not None


@pytest.mark.parametrize("package", ["bench", "reaugkd"])
def test_code_counts_as_source_and_what_python_writes_beside_it_does_not(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / package
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setattr(f"{package}.__file__", str(folder / "__init__.py"))
    found = []
    try:
        for name in ("nothing", "__pycache__/a.cpython-311.pyc.140", "py.typed", "a.py"):
            (folder / name).touch()
            kept._source.cache_clear()
            found.append(stamp([], {}))
    finally:
        kept._source.cache_clear()
    assert [other == found[0] for other in found] == [True, True, True, False]
