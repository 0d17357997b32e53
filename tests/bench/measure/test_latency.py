"""Laws of the coordinator: what it starts and when it stops, deaths, resuming, other limits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.measure import latency, observed
from bench.measure.latency import LatencyMeter, worth_another
from bench.measure.meter import Done
from bench.measure.options import Options
from bench.measure.plan import count, plan
from bench.measure.process import Launch, Launcher
from bench.records import definitions
from bench.records.measurement import LatencyRecord
from bench.records.measurements import Measurements
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Silent
from tests.bench.measure import fake_worker, judged

FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "cache")


@pytest.fixture
def measurements(tmp_path: Path) -> Measurements:
    return Measurements(tmp_path / "out")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(path))
    return path


def jobs(log: Path) -> list[dict[str, Any]]:
    if not log.is_file():
        return []
    return [json.loads(line) for line in log.read_text().splitlines()]


def asked(**changes: Any) -> Options:
    values: dict[str, Any] = {
        "bases": ("150",),
        "ann": ("exact",),
        "k": (3,),
        "student": "bert-1l-16",
        "threads": (1,),
        "build_threads": 1,
        "rounds": 2,
        "lengths": ("8",),
    }
    return Options.of(**(values | changes))


def fake(behaviour: str, timeout: float = 60) -> Launch:
    """A real process where it dies; the others run here, for speed."""
    if not behaviour.startswith("times"):
        return Launcher((sys.executable, str(FAKE), behaviour), timeout)

    def launch(job: str, variables: Mapping[str, str]) -> bytes:
        return fake_worker.content(behaviour, job, variables)

    return launch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process takes a second."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))


def run(
    options: Options,
    measurements: Measurements,
    store: ArtifactStore,
    behaviour: str = "times",
    **more: Any,
) -> list[LatencyRecord]:
    launcher, done = more.pop("launcher", None) or fake(behaviour), more.pop("done", None)
    meter = LatencyMeter(options, measurements, store, "test", launcher=launcher, **more)
    return meter.run(done)


def test_a_clear_cell_stops_after_two_processes_of_different_inputs(
    measurements: Measurements, store: ArtifactStore, log: Path
) -> None:
    (record,) = run(asked(), measurements, store)
    assert (record.status, record.verdict) == ("ok", "holds")
    assert record.result is not None
    assert (record.result.processes, record.result.inputs) == (2, 208)
    assert record.result.ratio.estimate == pytest.approx(0.01, rel=0.01)
    assert [one["job"]["process"] for one in jobs(log)] == [0, 1]
    assert len({one["job"]["seed"] for one in jobs(log)}) == 1
    assert {one["omp"] for one in jobs(log)} == {"1"}
    assert measurements.records() == ([record], [])
    assert set(observed.pack(observed.unpack(measurements.arrays(record.key)))) == set(
        measurements.arrays(record.key)
    )


@pytest.mark.parametrize(("budget", "processes"), [(5.0, 5), (5.9, 5), (2.0, 2), (0.001, 2)])
def test_an_undecided_cell_goes_on_until_its_budget_is_spent_and_has_two_processes_at_least(
    budget: float,
    processes: int,
    measurements: Measurements,
    store: ArtifactStore,
    log: Path,
    clock: None,
) -> None:
    (record,) = run(asked(budget=budget), measurements, store, "times:0.03,0.2")
    assert record.verdict == "undecided"
    assert record.result is not None
    assert record.result.processes == len(jobs(log)) == processes
    assert record.result.inputs == 104 * processes


def test_the_same_command_measures_nothing_again(
    measurements: Measurements, store: ArtifactStore, log: Path
) -> None:
    options = asked(ann=("exact", "hnswlib"))
    first = run(options, measurements, store)
    before, seen = len(jobs(log)), []
    second = run(options, measurements, store, done=seen.append)
    assert second == first
    assert len(jobs(log)) == before
    assert [(one.reused, one.number, one.total) for one in seen] == [(True, 1, 2), (True, 2, 2)]
    run(options, measurements, store, overwrite="always")
    assert len(jobs(log)) == 2 * before


def test_another_limit_is_decided_by_the_stored_interval(
    measurements: Measurements, store: ArtifactStore, log: Path
) -> None:
    (first,) = run(asked(limit=0.03), measurements, store, "times:0.02,0")
    before = len(jobs(log))
    (second,) = run(asked(limit=0.01), measurements, store)
    assert (first.verdict, second.verdict) == ("holds", "fails")
    assert (second.limit, second.key, second.result) == (0.01, first.key, first.result)
    assert measurements.latency() == [second]
    assert len(jobs(log)) == before


def test_what_another_limit_leaves_undecided_is_measured_on_and_not_from_the_start(
    measurements: Measurements, store: ArtifactStore, log: Path, clock: None
) -> None:
    (first,) = run(asked(limit=0.05), measurements, store, "times:0.02,0.1")
    assert first.result is not None
    (second,) = run(asked(limit=0.02, budget=4), measurements, store, "times:0.02,0.1")
    assert second.result is not None
    assert [one["job"]["process"] for one in jobs(log)] == [0, 1, 2, 3]
    assert (first.result.processes, second.result.processes) == (2, 4)
    assert first.result.seconds < second.result.seconds <= 4
    run(asked(limit=0.02, budget=4), measurements, store, "times:0.02,0.1")
    assert len(jobs(log)) == 4  # undecided, and its time is spent


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("killed", "SIGKILL, perhaps for want of memory"),
        ("garbage", "no result to read"),
        ("nothing", "ended without a result"),
        ("mistake", "the student is 32 wide, the knowledge base 16"),
        ("zero", "not positive"),
        ("empty", "nothing was measured"),
        ("float", "whole nanoseconds"),
    ],
)
def test_a_process_that_fails_fails_its_cell_with_the_reason_in_one_line(
    behaviour: str, words: str, measurements: Measurements, store: ArtifactStore
) -> None:
    (record,) = run(asked(), measurements, store, behaviour)
    assert (record.status, record.verdict, record.result) == ("failed", None, None)
    assert words in str(record.reason)
    assert "\n" not in str(record.reason)
    assert measurements.records() == ([record], [])


def test_a_process_that_hangs_is_ended_and_fails_its_cell(
    measurements: Measurements, store: ArtifactStore, log: Path
) -> None:
    (record,) = run(asked(), measurements, store, launcher=fake("hangs", timeout=1.5))
    assert record.reason == "the measuring process did not end within 1.5 s"
    (job,) = jobs(log)
    with pytest.raises(ProcessLookupError):
        os.kill(job["pid"], 0)


def test_the_death_of_one_cell_does_not_touch_the_others_and_is_made_good_later(
    measurements: Measurements, store: ArtifactStore, log: Path
) -> None:
    options = asked(ann=("exact", "hnswlib"))
    first = run(options, measurements, store, "dies-on-exact")
    assert [record.status for record in first] == ["failed", "ok"]
    kept = run(options, measurements, store, overwrite="never")
    assert kept == first
    before = len(jobs(log))
    second = run(options, measurements, store)
    assert [record.status for record in second] == ["ok", "ok"]
    assert second[1] == first[1]
    assert [one["job"]["spec"] for one in jobs(log)[before:]] == ["exact", "exact"]


def test_ctrl_c_ends_the_process_and_leaves_nothing_half_written(
    measurements: Measurements,
    store: ArtifactStore,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import subprocess

    communicate = subprocess.Popen.communicate
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def interrupted(self: Any, *args: Any, timeout: float | None = None) -> Any:
        if timeout is not None:
            while not jobs(log):
                pass
            raise KeyboardInterrupt
        return communicate(self, *args)

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(asked(), measurements, store, "hangs")
    with pytest.raises(ProcessLookupError):
        os.kill(jobs(log)[0]["pid"], 0)
    assert list(measurements.cells.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_a_damaged_record_is_measured_again_unless_nothing_may_be_overwritten(
    measurements: Measurements, store: ArtifactStore
) -> None:
    (first,) = run(asked(), measurements, store)
    path = measurements.cells / f"{first.key}.json"
    path.write_text("{")
    assert run(asked(), measurements, store, overwrite="never") == []
    assert path.read_text() == "{"
    (second,) = run(asked(), measurements, store)
    assert (second.key, second.status) == (first.key, "ok")


def test_an_index_that_cannot_be_built_fails_its_own_cells_alone(
    measurements: Measurements, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reaugkd.retrieval.ann.hnswlib import Hnswlib

    def broken(*_: Any) -> None:
        raise RuntimeError("not enough\nmemory")

    monkeypatch.setattr(Hnswlib, "_build", broken)
    records = run(asked(ann=("exact", "hnswlib")), measurements, store)
    assert [record.status for record in records] == ["ok", "failed"]
    assert records[1].reason == "building hnswlib: RuntimeError: not enough memory"


def test_all_indexes_of_a_base_are_built_before_its_first_cell_is_measured(
    measurements: Measurements, store: ArtifactStore
) -> None:
    told: list[str] = []

    class Listener(Silent):
        def start(self, stage: str, total: int, unit: str = "") -> None:
            told.append(stage)

    def done(one: Done[LatencyRecord]) -> None:
        told.append(f"cell {one.record.cell.base}")

    options = asked(bases=("160", "150"), ann=("exact", "hnswlib"))
    run(options, measurements, store, reporter=Listener(), done=done)
    cells = [n for n, stage in enumerate(told) if stage.startswith("cell ")]
    assert [told[n] for n in cells] == ["cell 150"] * 2 + ["cell 160"] * 2
    assert cells[1] == cells[0] + 1
    assert cells[3] == cells[2] + 1


def test_the_key_changes_with_everything_that_decides_the_figure_and_with_nothing_else(
    store: ArtifactStore,
) -> None:
    (base,) = plan(asked(), store)
    different: list[dict[str, Any]] = [
        {"bases": ("151",)},
        {"ann": ("hnswlib",)},
        {"k": (4,)},
        {"batch": (2,)},
        {"student": "bert-2l-16"},
        {"lengths": ("9",)},
        {"lengths": ("recorded",)},
        {"target": "recall:0.9"},
        {"tau": 0.2},
        {"beta": 0.4},
        {"rounds": 3},
    ]
    keys = [plan(asked(**change), store)[0].key for change in different]
    assert len({base.key, *keys}) == len(different) + 1
    for change in ({"limit": 0.5}, {"budget": 1.0}):
        assert plan(asked(**change), store)[0].key == base.key
    assert plan(asked(), store, delay_us=5)[0].key != base.key


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": (0,)}, "--threads 0"),
        ({"tau": 0.0}, "--tau 0"),
        ({"bases": ()}, "none of them"),
        ({"lengths": ("recored",)}, "did you mean 'recorded'"),
        ({"lengths": ("2",)}, "3 to 512"),
        ({"student": "nowhere/at/all"}, "nowhere/at/all"),
        ({"student": "bert-0l-16"}, "at least 1 layer"),
    ],
)
def test_a_mistake_is_told_before_any_work(
    changes: dict[str, Any], words: str, measurements: Measurements, store: ArtifactStore
) -> None:
    with pytest.raises(UserError) as found:
        run(asked(**changes), measurements, store, "killed")
    assert words in str(found.value)
    assert "\n" not in str(found.value)
    assert not measurements.folder.exists()
    assert not (store.root / "generated-base").exists()


@pytest.mark.slow
def test_a_real_worker_measures_a_tiny_student(
    measurements: Measurements, store: ArtifactStore
) -> None:
    options = asked(ann=("hnswlib",), batch=(16,), limit=1e6)
    records = LatencyMeter(options, measurements, store, "test").run()
    (record,) = records
    assert (record.status, record.reason, record.verdict) == ("ok", None, "holds")
    assert record.result is not None
    assert record.result.processes == 2
    assert record.result.inputs == 2 * count(16)
    assert record.result.tokens == 8
    assert record.result.added.p50 > 0
    assert all(one.torch_threads == 1 for one in record.result.environments)
    raw = measurements.arrays(record.key)
    assert raw["0.forward"].shape == (2, 8)
    assert not set(raw["0.rows"]) & set(raw["1.rows"])


def test_a_cell_is_judged_by_what_is_promised_of_it(
    measurements: Measurements, store: ArtifactStore
) -> None:
    records = run(asked(condense=("full", "random:40")), measurements, store, "times:0.01,0")
    assert [(one.limit, one.verdict) for one in records] == [(0.03, "holds"), (0.005, "fails")]


def test_processes_that_skip_are_kept_with_what_they_searched(
    measurements: Measurements, store: ArtifactStore
) -> None:
    def launch(job: str, variables: Mapping[str, str]) -> bytes:
        return fake_worker.content("skips:0.01,0", job, variables)

    (record,) = run(asked(), measurements, store, launcher=launch)
    assert record.result is not None
    seen = record.result.skipping
    assert seen is not None
    assert seen.share == 0.5
    assert seen.asked_ratio is not None
    assert seen.asked_ratio.estimate == pytest.approx(0.01, rel=0.01)
    assert record.result.ratio.estimate == pytest.approx(0.0055, rel=0.01)
    kept = observed.unpack(measurements.arrays(record.key))
    assert observed.result(kept, 1) == record.result
    assert measurements.records() == ([record], [])


def test_near_the_limit_a_verdict_takes_several_processes() -> None:
    near, far = judged.result(0.0255, 0.0265), judged.result(0.005, 0.0055)
    assert worth_another(near, 0.03, 1e9)
    assert not worth_another(far, 0.03, 1e9)
    assert not worth_another(near.model_copy(update={"processes": 4}), 0.03, 1e9)
    assert not worth_another(near, 0.03, near.seconds)  # but not beyond the budget


def test_another_query_path_is_another_cell(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a gate would pass on the figures of the code before."""
    (before,) = plan(asked(), store)
    monkeypatch.setattr(definitions, "of_files", lambda *patterns: "changed")
    (after,) = plan(asked(), store)
    assert before.key != after.key
    changed = {name for name in before.identity if before.identity[name] != after.identity[name]}
    assert changed == {"code"}


@pytest.mark.parametrize(("effort", "started"), [(None, 1), (99, 3)])
def test_processes_of_another_index_are_not_measured_on(
    measurements: Measurements,
    store: ArtifactStore,
    log: Path,
    clock: None,
    effort: int | None,
    started: int,
) -> None:
    undecided = "times:0.03,0.5"
    (record,) = run(asked(budget=2.0), measurements, store, undecided)
    assert record.index is not None
    index = record.index.model_copy(update={"effort": effort})
    measurements.write(record.model_copy(update={"index": index}), measurements.arrays(record.key))
    before = len(jobs(log))
    (again,) = run(asked(budget=3.0), measurements, store, undecided)
    assert len(jobs(log)) - before == started
    assert again.result is not None
    assert again.result.processes == 3
