"""Calibrating: what is kept, what is refused, what a kill leaves; one real, tiny measurement."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reaugkd import processor
from reaugkd.errors import UserError
from reaugkd.registry import Entry
from reaugkd.reporter import Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import calibrate, search_times
from reaugkd.retrieval.ann.auto.calibrate import Machine, obtain, this_machine
from tests import calibrations

ROOT = Path(__file__).parents[4]


class Told(Silent):
    """A reporter that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    """The machines that were measured since."""
    measured: list[Machine] = []

    def measure(machine: Machine, *_: object) -> calibrate.Calibration:
        measured.append(machine)
        return calibrations.measure(machine)

    monkeypatch.setattr(calibrate, "measure", measure)
    return measured


def kept(folder: Path) -> Path:
    (found,) = folder.glob("calibration/*/calibration.json")
    return found


def test_it_is_measured_once_and_read_afterwards(tmp_path: Path, count: list[Machine]) -> None:
    first, second = obtain(12, cache=tmp_path), obtain(12, cache=tmp_path)
    assert first == second
    assert len(count) == 1
    assert first.folder == kept(tmp_path).parent


@pytest.mark.parametrize("what", ["dim", "threads", "cpu", "cores", "version", "library"])
def test_whatever_changes_the_times_has_its_own_calibration(
    tmp_path: Path, count: list[Machine], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    obtain(12, cache=tmp_path)
    changes: dict[str, tuple[object, str, object]] = {
        "cpu": (processor, "full_model", lambda: "another CPU"),
        "cores": (processor, "cores", lambda: 77),
        "version": (calibrate, "_version", lambda names: "99"),
        "library": (calibrate, "CANDIDATES", {"exact": ("numpy",)}),
    }
    if what in changes:
        monkeypatch.setattr(*changes[what])
    obtain(13 if what == "dim" else 12, 2 if what == "threads" else 1, cache=tmp_path)
    assert len(count) == 2
    assert len({json.dumps(m.model_dump(), sort_keys=True) for m in count}) == 2


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_file_is_named_and_measured_again(
    tmp_path: Path, count: list[Machine], damage: str
) -> None:
    expected = obtain(12, cache=tmp_path)
    path = kept(tmp_path)
    text = path.read_text()
    if damage == "missing":
        path.unlink()
    else:
        path.write_text(text[:-40] if damage == "truncated" else text.replace("3", "4", 1))
    told = Told()
    assert obtain(12, cache=tmp_path, reporter=told) == expected
    assert len(count) == 2
    assert str(path.parent) in "".join(told.notes)


def test_the_cache_is_the_users_unless_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reaugkd.artifacts.cache import default_cache

    monkeypatch.setenv("REAUGKD_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "own"
    monkeypatch.setenv("REAUGKD_CACHE", "")
    assert default_cache() == tmp_path / "xdg" / "reaugkd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "reaugkd"


def small(monkeypatch: pytest.MonkeyPatch, **libraries: str) -> Machine:
    monkeypatch.undo()  # the real calibrate.measure
    monkeypatch.setattr(calibrate, "EXACT_SIZES", (100, 1_600))
    monkeypatch.setattr(calibrate, "GRAPH_SIZES", (100, 400))
    return this_machine(8, 1).model_copy(update={"libraries": libraries})


def test_a_real_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two candidates at width 8, each in a process of its own."""
    machine = small(monkeypatch, exact="1", hnswlib="2")
    found = calibrate.measure(machine, Silent())
    assert [one.spec for one in found.measured] == ["exact", "hnswlib"]
    exact, graph = found.measured
    assert {(p.size, p.batch) for p in exact.points} == {
        (size, batch) for size in calibrate.EXACT_SIZES for batch in search_times.CALLS
    }
    assert {p.effort for p in exact.points} == {None}
    assert {p.recall for p in exact.points} == {1.0}
    assert graph.usable
    assert all(p.effort is not None and p.effort >= search_times.K for p in graph.points)
    # 512 times the similarities: no noise of a busy machine turns this around.
    by = {(p.size, p.batch): p.microseconds for p in exact.points}
    assert by[1_600, 32] > by[100, 1]
    assert found.seconds > 0


def test_a_candidate_that_dies_is_one_less(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = small(monkeypatch, exact="1")
    died = calibrate._in_a_process("no-such-backend", machine)
    assert died.points == ()
    assert died.flaw is not None
    assert died.flaw.startswith("exit code 1: ")
    assert "no-such-backend" in died.flaw
    dead = died.model_copy(update={"spec": "exact"})
    monkeypatch.setattr(calibrate, "_in_a_process", lambda *_: dead)
    with pytest.raises(UserError, match="exact search cannot be calibrated: exit code 1"):
        calibrate.measure(machine, Silent())


def test_candidates_are_registered_and_not_imported() -> None:
    assert set(calibrate.CANDIDATES) <= set(ann.BACKENDS)
    assert all(isinstance(ann.BACKENDS.entry(name), Entry) for name in calibrate.CANDIDATES)
    code = (
        "import sys; from reaugkd.retrieval.ann.auto.calibrate import this_machine;"
        "this_machine(768, 1);"
        "print({'faiss', 'hnswlib', 'usearch', 'svs', 'voyager', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "set()"


def test_who_calibrates_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bench run` lets its threads sleep soon; a calibration is the same from anywhere."""
    seen = []

    def start(*_: object, env: dict[str, str], **__: object) -> subprocess.CompletedProcess[str]:
        seen.append(env["GOMP_SPINCOUNT"])
        return subprocess.CompletedProcess([], 1, "", "stopped")

    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    monkeypatch.setattr(subprocess, "run", start)
    calibrate._in_a_process("hnswlib", calibrate.this_machine(64, 1))
    assert seen == [calibrate.SPINS]
