"""Laws of a kept report: found while nothing changed, made again whenever something did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import pytest

from bench.records.store import Store, StoreError
from bench.report import kept
from bench.report.files import write
from bench.report.kept import FOLDER, NEWEST, find, keep, stamp
from tests.bench.report import factory

OPTIONS = {"formats": ["md"], "baseline": None}
PRINTED = "# one\n\x1b[1mbold\x1b[0m – ±\n"


@pytest.fixture
def run(tmp_path: Path) -> Store:
    store = factory.store(tmp_path / "run", factory.matrix([0]))
    store.write(factory.training(), {"logits.dev": factory.truth()[:, None]})
    (store.folder / "measurements").mkdir()
    return store


@pytest.fixture
def fresh() -> Iterator[Callable[[], None]]:
    """Looks at the sources again, now and after the test."""
    yield kept._source.cache_clear
    kept._source.cache_clear()


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
    "a cell less": lambda run: (run.cells / "t-mrpc-kd-0.json").unlink(),
    "outputs less": lambda run: (run.cells / "t-mrpc-kd-0.npz").unlink(),
    "another plan": lambda run: run.write_run({"cells": []}),
    "a history": lambda run: (run.folder / "history.jsonl").write_text("{}\n"),
    "a measurement": lambda run: (run.folder / "measurements" / "x.json").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_report_reads_changes_the_stamp(change: str, run: Store) -> None:
    before = stamp([run.folder], OPTIONS)
    assert stamp([run.folder], dict(reversed(OPTIONS.items()))) == before
    CHANGES[change](run)
    assert stamp([run.folder], OPTIONS) != before


def test_what_a_report_writes_and_what_is_half_written_does_not(run: Store) -> None:
    before = stamp([run.folder], OPTIONS)
    paths = write(run.folder, [(PurePath(name), "x") for name in ("report.md", "tables/x.csv")])
    (run.cells / ".x.json.12.tmp").write_text("x")
    keep(run.folder, before, PRINTED, paths)
    assert stamp([run.folder], OPTIONS) == before


def test_options_and_folders_change_the_stamp(run: Store, tmp_path: Path) -> None:
    other = factory.store(tmp_path / "other", []).folder
    folders = ([run.folder], [run.folder, other], [other, run.folder], [other], [])
    stamps = {stamp(each, OPTIONS) for each in folders}
    stamps |= {stamp([run.folder], OPTIONS | {"baseline": "kd"}), stamp([run.folder], {})}
    assert len(stamps) == len(folders) + 2


@pytest.mark.parametrize("name", ["__version__", "_libraries"])
def test_another_version_of_the_project_or_of_a_library_changes_the_stamp(
    name: str, fresh: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stamp([], OPTIONS)
    monkeypatch.setattr(kept, name, "9" if name == "__version__" else lambda: ["jinja2 9"])
    fresh()
    assert stamp([], OPTIONS) != before


@pytest.mark.parametrize("package", ["bench", "reaugkd"])
def test_code_and_templates_count_as_source_and_what_python_writes_beside_them_does_not(
    package: str, fresh: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / package
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setattr(f"{package}.__file__", str(folder / "__init__.py"))
    stamps = []
    for name in ("nothing", "__pycache__/a.cpython-311.pyc.140", "py.typed", "a.py", "style.css"):
        (folder / name).touch()
        fresh()
        stamps.append(stamp([], {}))
    assert len(set(stamps[:3])) == 1
    assert len(set(stamps[2:])) == 3


def test_what_was_printed_is_found_as_it_was(tmp_path: Path) -> None:
    files = write(tmp_path, [(PurePath("report.md"), "a"), (PurePath("tables/x.csv"), b"b")])
    keep(tmp_path, "abc", PRINTED, files)
    earlier = find(tmp_path, "abc")
    assert earlier is not None
    assert earlier.printed == PRINTED
    assert [tmp_path / name for name in earlier.files] == [*files]
    assert find(tmp_path, "abd") is None
    assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("mine")])
def test_a_file_that_was_changed_or_deleted_is_made_again(
    harm: Callable[[Path], object], tmp_path: Path
) -> None:
    files = write(tmp_path, [(PurePath("report.md"), "a"), (PurePath("results.csv"), "b")])
    keep(tmp_path, "abc", PRINTED, files)
    os.utime(tmp_path / "results.csv", (1, 1))  # another time alone is no other file
    assert find(tmp_path, "abc") is not None
    harm(tmp_path / "results.csv")
    assert find(tmp_path, "abc") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"printed": 1}', "\x00", "null"])
def test_a_damaged_kept_file_is_as_none(text: str, tmp_path: Path) -> None:
    keep(tmp_path, "abc", PRINTED, {})
    path = tmp_path / FOLDER / "abc.json"
    whole = path.read_text()
    for content in (text, whole[: len(whole) // 2], whole[:-1], whole + "x"):
        path.write_text(content)
        assert find(tmp_path, "abc") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(NEWEST + 3):
        keep(tmp_path, f"s{number}", PRINTED, {})
        os.utime(tmp_path / FOLDER / f"s{number}.json", (number, number))
    left = [number for number in range(NEWEST + 3) if find(tmp_path, f"s{number}")]
    assert left == list(range(3, NEWEST + 3))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write to .*\.report: "):
        keep(tmp_path, "abc", PRINTED, {})


def test_what_is_kept_is_what_was_written_and_not_what_another_wrote_then(tmp_path: Path) -> None:
    """Two reports into one folder at a time: the files are of the one that wrote last."""
    for name in ("first", "second"):
        keep(tmp_path, name, PRINTED, write(tmp_path, [(PurePath("report.md"), name)]))
    assert find(tmp_path, "first") is None
    assert find(tmp_path, "second") is not None
