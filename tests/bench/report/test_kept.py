"""Laws of a kept report: found while nothing changed, made again whenever something did."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from bench.records.store import Store, StoreError
from bench.report import kept
from bench.report.files import write
from bench.report.kept import FOLDER, NEWEST, find, keep, stamp
from bench.report.render import markdown
from reaugkd.artifacts.store import checksum
from tests.bench.report import factory, small

OPTIONS = {"formats": ["md"], "baseline": None}


@pytest.fixture
def run(tmp_path: Path) -> Store:
    store = factory.store(tmp_path / "run", factory.matrix([0]))
    store.write(factory.training(), {"logits.dev": factory.truth()[:, None]})
    (store.folder / "measurements").mkdir()
    return store


def sums(*paths: Path) -> dict[Path, str]:
    return {path: checksum(path) for path in paths}


REPORT = small.report()


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
    keep(run.folder, before, REPORT, sums(run.folder / "report.md"))
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
    files = [tmp_path / "report.md", tmp_path / "tables" / "scores.csv"]
    files[1].parent.mkdir()
    for path in files:
        path.write_text(path.name)
    keep(tmp_path, "abc", REPORT, sums(*files))
    kept = find(tmp_path, "abc")
    assert kept is not None
    assert [tmp_path / name for name, _ in kept.files] == files
    assert kept.tables == REPORT.tables
    assert markdown.render(kept) == markdown.render(REPORT)
    assert find(tmp_path, "abd") is None
    assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("mine")])
def test_a_file_that_was_changed_or_deleted_is_made_again(
    harm: Callable[[Path], object], tmp_path: Path
) -> None:
    files = [tmp_path / "report.md", tmp_path / "results.csv"]
    for path in files:
        path.write_text("text")
    keep(tmp_path, "abc", REPORT, sums(*files))
    os.utime(files[1], (1, 1))  # another time alone is no other file
    assert find(tmp_path, "abc") is not None
    harm(files[1])
    assert find(tmp_path, "abc") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"title": 1}', "\x00", "null"])
def test_a_damaged_kept_file_is_as_none(text: str, tmp_path: Path) -> None:
    keep(tmp_path, "abc", REPORT, {})
    path = tmp_path / FOLDER / "abc.json"
    whole = path.read_text()
    for content in (text, whole[: len(whole) // 2], whole[:-1], whole + "x"):
        path.write_text(content)
        assert find(tmp_path, "abc") is None
    path.write_text(whole)
    assert find(tmp_path, "abc") is not None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(NEWEST + 3):
        keep(tmp_path, f"s{number}", REPORT, {})
        os.utime(tmp_path / FOLDER / f"s{number}.json", (number, number))
    there = [number for number in range(NEWEST + 3) if find(tmp_path, f"s{number}")]
    assert there == list(range(3, NEWEST + 3))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write to .*\.report: "):
        keep(tmp_path, "abc", REPORT, {})


def test_what_is_kept_is_what_was_written_and_not_what_another_wrote_then(tmp_path: Path) -> None:
    """Two reports into one folder at a time: the files are of the one that wrote last."""
    first = write(tmp_path, [(PurePath("report.md"), "first")])
    second = write(tmp_path, [(PurePath("report.md"), "second")])
    keep(tmp_path, "first", REPORT, first)
    keep(tmp_path, "second", REPORT, second)
    assert find(tmp_path, "first") is None
    assert find(tmp_path, "second") is not None


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
