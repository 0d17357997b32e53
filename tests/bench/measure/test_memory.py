"""Memory in real child processes: what grows, by how much, and what a dead child leaves."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.cli.main import main
from bench.measure import bases
from bench.measure.footprint import BATCH
from bench.measure.indexes import Indexes
from bench.measure.memory import MemoryMeter
from bench.measure.meter import Done
from bench.measure.options import Options
from bench.measure.plan import plan
from bench.measure.process import Launcher
from bench.records.measurement import MemoryRecord, MemoryResult
from bench.records.measurements import Measurements
from reaugkd import processor
from reaugkd.artifacts.store import ArtifactStore

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SIZE, DIM, CLASSES = 5_000, 64, 2
VECTORS = 4 * SIZE * DIM
BESIDES = SIZE * (4 * CLASSES + 8)
PAGES = 1 << 20
"""What a few libraries and a work buffer may add to a reading."""


Reading = Callable[..., MemoryResult]
DIES = Launcher(("/bin/sh", "-c", "kill -9 $$"))
LIVES = Launcher()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


def options(size: int = SIZE, dim: int = DIM, **more: Any) -> Options:
    given: dict[str, Any] = {
        "bases": (str(size),),
        "ann": ("exact",),
        "threads": (1,),
        "build_threads": 1,
        "student": f"bert-1l-{dim}",
        "target": "recall:0.9",
    }
    return Options.of(**(given | more))


def measured(
    store: ArtifactStore,
    spec: str,
    size: int = SIZE,
    dim: int = DIM,
    launcher: Launcher = LIVES,
) -> MemoryRecord:
    with tempfile.TemporaryDirectory() as folder:
        wanted = options(size, dim, ann=(spec,))
        kept = Measurements(Path(folder))
        (record,) = MemoryMeter(wanted, kept, store, "a test", launcher=launcher).run()
    return record


@pytest.fixture(scope="module")
def reading(store: ArtifactStore) -> Reading:
    """Figures of a backend, read once for all tests: a process each takes seconds."""
    return cache(lambda spec, size=SIZE, dim=DIM: result(measured(store, spec, size, dim)))


def result(record: MemoryRecord) -> MemoryResult:
    assert record.status == "ok", record.reason
    assert record.result is not None
    return record.result


@pytest.mark.slow
def test_exact_holds_its_vectors_in_mapped_pages_only(reading: Reading) -> None:
    found = reading("exact")
    assert VECTORS <= found.mapped <= VECTORS + BESIDES + PAGES
    # One batch of similarities and their partition, and nothing of the size of a second copy
    # of the vectors beside them.
    assert 0 <= found.rss_growth < 3 * BATCH * SIZE * 12 + PAGES
    assert found.formula == found.serialized == VECTORS + BESIDES


@pytest.mark.slow
def test_hnswlib_holds_its_vectors_in_anonymous_memory(reading: Reading) -> None:
    size, dim = 12_000, 128
    found = reading("hnswlib", size, dim)
    assert 4 * size * dim < found.rss_growth < 1.5 * found.formula
    assert found.mapped < 0.2 * 4 * size * dim  # soft labels and ids; the keys are not touched
    assert 0.8 * found.formula < found.serialized <= found.formula


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss", "annoy"])
def test_the_formula_is_near_what_is_written_and_the_peak_above_what_stays(
    reading: Reading, spec: str
) -> None:
    found = reading(spec)
    assert found.formula == pytest.approx(found.serialized, rel=0.25)
    assert found.peak_growth >= found.rss_growth + found.mapped - PAGES
    assert found.serialized >= BESIDES
    assert found.load_seconds > 0


def test_a_reduced_base_is_read_by_the_same_rulers(store: ArtifactStore, tmp_path: Path) -> None:
    reduced = {"condense": ("random:100",), "pca": (16,), "value_bits": (8,)}
    wanted = options(ann=("faiss:SQ8",), **reduced)
    (record,) = MemoryMeter(wanted, Measurements(tmp_path), store, "a test").run()
    found = result(record)
    assert record.label == "5000 (100 of 5,000) random:100, pca 16, 8-bit values faiss:SQ8 k 10"
    besides = 100 * (CLASSES + 8) + 4 * DIM * 16  # values and ids, and what queries go through
    assert record.index is not None
    assert found.formula == record.index.nbytes + besides
    assert besides < found.serialized < besides + 100 * 16 * 4 + PAGES


def test_a_damaged_index_is_one_line_that_names_its_file(store: ArtifactStore) -> None:
    folder = Indexes(store, bases.generated(store, str(SIZE), DIM), 1).built("faiss").folder
    assert folder is not None
    payload = folder / "index.bin"
    whole = payload.read_bytes()

    def damaged(*arguments: Any) -> bytes:  # after the cache has looked at it
        payload.write_bytes(whole[:-100])
        return LIVES(*arguments)

    try:
        record = measured(store, "faiss", launcher=damaged)  # type: ignore[arg-type]
    finally:
        payload.write_bytes(whole)
    assert record.status == "failed"
    assert record.reason is not None
    assert f"{payload} is damaged" in record.reason
    assert "\n" not in record.reason


def test_what_decides_a_figure_decides_the_key_and_nothing_is_made_for_it(
    tmp_path: Path,
) -> None:
    store = ArtifactStore(tmp_path)

    def keys(**more: Any) -> list[str]:
        return [one.key for one in plan(options(**more), store, "memory")]

    changed = [
        keys(size=SIZE + 1),
        keys(dim=2 * DIM),
        keys(ann=("hnswlib",)),
        keys(k=(5,)),
        keys(target="agreement:0.995"),
        keys(build_threads=2) if processor.cores() != 1 else [],
    ]
    assert all(keys() != other for other in changed)
    assert keys() == keys(batch=(32,), precision=("bf16",), ann=("exact", "exact"))
    assert not (tmp_path / "generated-base").exists()


def test_finished_cells_are_not_measured_again_and_failed_ones_are(
    store: ArtifactStore, tmp_path: Path
) -> None:
    wanted, measurements = options(), Measurements(tmp_path)

    def again(launcher: Launcher, **more: Any) -> list[tuple[str, str, bool]]:
        told: list[Done[MemoryRecord]] = []
        MemoryMeter(wanted, measurements, store, "x", launcher=launcher, **more).run(told.append)
        return [(d.record.backend, d.record.status, d.reused) for d in told]

    assert again(DIES) == [("exact", "failed", False)]
    assert again(DIES, overwrite="never") == [("exact", "failed", True)]
    assert again(LIVES) == [("exact", "ok", False)]
    assert again(DIES) == [("exact", "ok", True)]
    assert [record.status for record in measurements.memory()] == ["ok"]


PEAK = f"""
import numpy as np
from bench.measure.environment import memory_status
from bench.measure.footprint import settle

PAGES = {PAGES}
held = np.ones(8 << 20)
del held
assert memory_status()["VmHWM"] >= 64 << 20
before = settle()
assert before["VmHWM"] - before["VmRSS"] <= PAGES
held = np.ones(4 << 20)
size = held.nbytes
del held
after = memory_status()
assert size - PAGES <= after["VmHWM"] - before["VmRSS"] <= size + 8 * PAGES
assert after["RssAnon"] - before["RssAnon"] < size / 2
"""
"""In a process of its own: a large heap takes the second array without growing."""


def test_the_peak_forgets_what_was_freed_before() -> None:
    subprocess.run([sys.executable, "-c", PEAK], check=True, cwd=Path(__file__).parents[3])


def command(store: ArtifactStore, folder: Path, *more: str) -> Result:
    given = ["--bases", "wnli", "--ann", "exact", "--student", f"bert-1l-{DIM}", "--threads", "1"]
    places = ["--cache", str(store.root), "--out", str(folder)]
    return CliRunner().invoke(main, ["memory", *given, *places, *more])


def test_the_command_shows_and_writes_the_table(store: ArtifactStore, tmp_path: Path) -> None:
    planned = command(store, tmp_path / "out", "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "wnli (635) exact k 10" in planned.stdout
    assert not (tmp_path / "out").exists()
    ran = command(store, tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert "[1/1] wnli (635) exact k 10: RSS" in ran.stderr
    written = (tmp_path / "out" / "memory.md").read_text(encoding="utf-8")
    assert ran.stdout == written
    assert "635 x 64" in written
    assert (tmp_path / "out" / "memory.csv").read_text().count("\n") == 2


def test_a_mistake_is_one_line(store: ArtifactStore, tmp_path: Path) -> None:
    ran = command(store, tmp_path, "--k", "700")
    assert ran.exit_code == 2
    assert "700 is larger than the knowledge base wnli (635 entries)" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_other_systems_are_told_in_one_line(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    ran = command(store, tmp_path)
    assert ran.exit_code == 2
    assert ran.stderr == "error: bench memory reads /proc, which Linux has and darwin has not\n"
