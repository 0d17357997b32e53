"""Memory in real child processes: what grows, by how much, and what a dead child leaves."""

from __future__ import annotations

import shutil
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bench.measure import bases, memory
from bench.measure.indexes import Mixture, Target
from bench.measure.memory import Meter
from bench.measure.memory_worker import settle, status
from bench.measure.process import Launcher
from bench.measure.record import MemoryRecord, MemoryResult
from reaugkd.artifacts import ArtifactStore
from reaugkd.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIXTURE, TARGET = Mixture(10, 0.1, 0.5), Target.parse("recall:0.9")
SIZE, DIM, CLASSES = 5_000, 64, 2
VECTORS = 4 * SIZE * DIM
BESIDES = SIZE * (4 * CLASSES + 8)
PAGES = 1 << 20
"""What a few libraries and a work buffer may add to a reading."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


def meter(store: ArtifactStore, size: int = SIZE, dim: int = DIM, **more: Any) -> Meter:
    source = bases.generated(store, str(size), dim)
    return Meter(store, source, threads=1, build_threads=1, command="a test", **more)


def result(record: MemoryRecord) -> MemoryResult:
    assert record.status == "ok", record.reason
    assert record.result is not None
    return record.result


def test_exact_holds_its_vectors_in_mapped_pages_only(store: ArtifactStore) -> None:
    found = result(meter(store).measure("exact", MIXTURE, TARGET))
    assert VECTORS <= found.mapped <= VECTORS + BESIDES + PAGES
    # One batch of similarities and their partition, and nothing of the size of a second copy
    # of the vectors beside them.
    assert 0 <= found.rss_growth < 3 * memory.BATCH * SIZE * 12 + PAGES
    assert found.formula == found.serialized == VECTORS + BESIDES


def test_hnswlib_holds_its_vectors_in_anonymous_memory(store: ArtifactStore) -> None:
    size, dim = 12_000, 128
    found = result(meter(store, size, dim).measure("hnswlib", MIXTURE, TARGET))
    assert 4 * size * dim < found.rss_growth < 1.5 * found.formula
    assert found.mapped < 0.2 * 4 * size * dim  # soft labels and ids; the keys are not touched
    assert 0.8 * found.formula < found.serialized <= found.formula


def test_twice_the_entries_more_take_twice_the_memory_more(store: ArtifactStore) -> None:
    """Slopes: what a process takes once, however small the base, falls out of them."""
    found = [
        result(meter(store, size).measure("hnswlib", MIXTURE, TARGET))
        for size in (SIZE // 2, SIZE, 2 * SIZE)
    ]
    once, twice = (b.rss_growth - a.rss_growth for a, b in pairwise(found))
    assert twice == pytest.approx(2 * once, rel=0.4)
    assert twice == pytest.approx(found[2].formula - found[1].formula, rel=0.4)


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss", "annoy"])
def test_the_formula_is_near_what_is_written_and_the_peak_above_what_stays(
    store: ArtifactStore, spec: str
) -> None:
    found = result(meter(store).measure(spec, MIXTURE, TARGET))
    assert found.formula == pytest.approx(found.serialized, rel=0.25)
    assert found.peak_growth >= found.rss_growth + found.mapped - PAGES
    assert found.serialized >= BESIDES
    assert found.load_seconds > 0


def test_soft_labels_and_ids_count(store: ArtifactStore) -> None:
    wide = meter(store)
    base = wide.indexes.base
    assert memory.besides(base) == BESIDES == base.values.nbytes + base.ids.nbytes
    folder = wide.indexes.built("hnswlib").folder
    assert folder is not None
    files = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert memory.on_disk(base, folder) == BESIDES + files
    assert memory.on_disk(base, None) == BESIDES + VECTORS


def test_a_killed_child_is_a_failed_record_with_the_reason(store: ArtifactStore) -> None:
    dies = Launcher(("/bin/sh", "-c", "kill -9 $$"))
    record = meter(store, launch=dies).measure("exact", MIXTURE, TARGET)
    assert record.status == "failed"
    assert record.result is None
    assert record.reason is not None
    assert "SIGKILL" in record.reason
    assert "\n" not in record.reason


def test_a_damaged_index_is_one_line_that_names_its_file(store: ArtifactStore) -> None:
    own = meter(store)
    folder = own.indexes.built("faiss").folder
    assert folder is not None
    payload, kept = folder / "index.bin", folder.with_name("kept")
    shutil.copy(payload, kept)
    own.indexes.tuned("faiss", MIXTURE, TARGET, 1)  # damaged later, while the cell is under way
    payload.write_bytes(kept.read_bytes()[:-100])
    record = own.measure("faiss", MIXTURE, TARGET)
    shutil.move(kept, payload)
    assert record.status == "failed"
    assert record.reason is not None
    assert f"{payload} is damaged" in record.reason
    assert "\n" not in record.reason
    assert "Traceback" not in record.reason


def test_what_decides_a_figure_is_in_the_key(store: ArtifactStore) -> None:
    own, other = meter(store), meter(store, SIZE + 1)
    key = own.identity("exact", MIXTURE, TARGET)
    assert key == meter(store).identity("exact", MIXTURE, TARGET)
    for changed in (
        other.identity("exact", MIXTURE, TARGET),
        own.identity("hnswlib", MIXTURE, TARGET),
        own.identity("exact", Mixture(5, 0.1, 0.5), TARGET),
        own.identity("exact", MIXTURE, Target.parse("agreement:0.995")),
    ):
        assert changed != key


def test_the_peak_forgets_what_was_freed_before() -> None:
    held = np.ones(8 << 20)
    del held
    assert status()["VmHWM"] >= 64 << 20
    before = settle()
    assert before["VmHWM"] - before["VmRSS"] <= PAGES
    held = np.ones(4 << 20)
    size = held.nbytes
    del held
    after = status()
    assert size - PAGES <= after["VmHWM"] - before["VmRSS"] <= size + 8 * PAGES
    assert after["RssAnon"] - before["RssAnon"] < size / 2


def test_other_systems_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UserError, match="darwin"):
        memory.require_linux()


def test_a_backend_without_its_library_is_skipped(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "annoy", None)
    monkeypatch.delitem(sys.modules, "reaugkd.retrieval.ann.annoy", raising=False)
    record = meter(store).measure("annoy", MIXTURE, TARGET)
    assert record.status == "skipped"
    assert record.reason is not None
    assert "reaugkd[annoy]" in record.reason
