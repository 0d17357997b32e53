"""One measuring process, whole: what it measures, what it refuses, what a kill leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from bench.measure import bases, environment, timed, worker
from bench.measure.inputs import Inputs, recorded
from bench.measure.job import LatencyJob
from bench.records.measurement import Environment
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests import tiny

DIM, SIZE, VOCABULARY = 32, 300, 50


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = ArtifactStore(tmp_path_factory.mktemp("bases"))
    return bases.generated(store, str(SIZE), DIM).folder


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process may play the measuring one, and is afterwards as it was."""
    for name, value in environment.variables(1).items():
        monkeypatch.setenv(name, value)
    cores = environment.cores()
    yield
    os.sched_setaffinity(0, cores)


def job(base: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """A job as the coordinator writes it; ``cell`` in ``changes`` is merged."""
    inputs = folder / "inputs.npz"
    if not inputs.exists():
        recorded("cola", 60, VOCABULARY).save(inputs)
    cell = {
        "base": str(SIZE), "size": SIZE, "dim": DIM, "classes": 2, "generated": True,
        "backend": "exact", "k": 5, "tau": 0.1, "beta": 0.5, "batch": 4, "precision": "fp32",
        "threads": 1, "lengths": "recorded cola", "student": "tiny",
    }  # fmt: skip
    cell |= changes.pop("cell", {})
    return {
        "kind": "latency",
        "cell": cell,
        "spec": cell["backend"],
        "base": str(base),
        "queries": str(base / "queries.safetensors"),
        "student": {
            "kind": "random", "width": DIM, "layers": 2, "heads": 2, "vocabulary": VOCABULARY
        },
        "inputs": str(inputs),
        "seed": 1,
        "process": 0,
        "count": 12,
        "rounds": 2,
        "warmup": 1,
        **changes,
    }  # fmt: skip


def run(base: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """What the job measures, in this process."""
    given, made = folder / "job.json", folder / "result.npz"
    given.write_text(json.dumps(job(base, folder, **changes)), encoding="utf-8")
    assert worker.main([str(given), str(made)]) == 0
    with np.load(made) as stored:
        return dict(stored)


def command(base: Path, folder: Path, **changes: Any) -> tuple[list[str], dict[str, str]]:
    given = folder / "job.json"
    given.write_text(json.dumps(job(base, folder, **changes)), encoding="utf-8")
    words = [sys.executable, "-m", "bench.measure.worker", str(given), str(folder / "r.npz")]
    return words, {**os.environ, **environment.variables(1)}


def test_a_process_of_its_own_measures_what_was_asked(base: Path, tmp_path: Path) -> None:
    words, variables = command(base, tmp_path)
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    with np.load(tmp_path / "r.npz", allow_pickle=False) as stored:
        for name in ("forward", "added", "plain"):
            assert stored[name].shape == (2, 3)
            assert stored[name].dtype == np.int64
            assert stored[name].min() > 0
        inputs = Inputs.load(tmp_path / "inputs.npz")
        assert sorted(stored["rows"]) == sorted(inputs.draw(12, seed=1, process=0))
        assert (stored["tokens"] == inputs.lengths[stored["rows"]]).all()
        seen = Environment.model_validate_json(str(stored["environment"]))
    assert seen.affinity == environment.cores()[:1]
    assert {pool["threads"] for pool in seen.pools} == {seen.torch_threads} == {1}
    assert [path.name for path in tmp_path.glob("*r.npz*")] == ["r.npz"]


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_searched_are_the_queries_of_the_base_that_no_effort_was_tuned_on(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(environment, "cpu_flags", lambda: environment.NATIVE_BF16)
    searched = spy(monkeypatch)
    run(base, tmp_path, cell={"precision": precision}, rounds=1, warmup=0)
    run(base, tmp_path, cell={"precision": precision}, rounds=1, warmup=0, process=1)
    found = np.concatenate(searched)
    known = load_file(base / "queries.safetensors")["queries"]
    if precision == "bf16":
        known = torch.from_numpy(known).bfloat16().float().numpy()
    known, found = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (known, found))
    rows = [int(np.flatnonzero((np.abs(known - row) < 1e-6).all(axis=1))[0]) for row in found]
    assert len(set(rows)) == 24  # two processes share none
    assert min(rows) >= len(known) // 2


@pytest.mark.usefixtures("own_process")
def test_without_queries_the_students_own_embedding_is_searched(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.encoder(hidden_size=DIM).save_pretrained(tmp_path / "student")
    recorded("cola", 30, tiny.VOCABULARY).save(tmp_path / "inputs.npz")
    searched = spy(monkeypatch)
    student = {"kind": "folder", "path": str(tmp_path / "student")}
    result = run(base, tmp_path, student=student, queries=None, rounds=1, warmup=0)
    encoder = Encoder.from_pretrained(tmp_path / "student")
    inputs = Inputs.load(tmp_path / "inputs.npz")
    with torch.inference_mode():
        own = [encoder(**inputs.tensors(rows)).embedding for rows in result["rows"].reshape(3, 4)]
    for found, expected in zip(searched[:3], own, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def spy(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Copies of whatever reaches ``AnnIndex.search``."""
    searched: list[Any] = []
    search = AnnIndex.search

    def remembering(self: AnnIndex, queries: Any, k: int) -> Any:
        searched.append(np.array(queries, dtype=np.float32))
        return search(self, queries, k)

    monkeypatch.setattr(AnnIndex, "search", remembering)
    return searched


@pytest.mark.usefixtures("own_process")
def test_a_saved_index_is_searched_with_the_effort_and_threads_of_the_job(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ann.make("faiss")
    index.build(KnowledgeBase.load(base).keys)
    index.save(tmp_path / "index")
    loaded: list[AnnIndex] = []
    load = ann.load

    def remembering(path: Path, *, threads: int = 1) -> AnnIndex:
        loaded.append(load(path, threads=threads))
        return loaded[-1]

    monkeypatch.setattr(ann, "load", remembering)
    run(base, tmp_path, index=str(tmp_path / "index"), effort=37)
    assert [(index.effort, index.threads) for index in loaded] == [(37, 1)]


@pytest.mark.usefixtures("own_process")
def test_an_injected_delay_is_in_every_added_time_and_in_no_forward(
    base: Path, tmp_path: Path
) -> None:
    delayed = run(base, tmp_path, delay_us=50_000.0, count=4)
    assert delayed["added"].min() >= 50_000_000
    assert np.median(delayed["forward"]) < 50_000_000


BAD_JOBS = {
    "rounds: Input should be greater": {"rounds": 0},
    "cell.precision: Input should be 'fp32', 'bf16' or 'int8'": {"cell": {"precision": "fp8"}},
    "hurry: Extra inputs": {"hurry": True},
    "threads 999: this process may use": {"cell": {"threads": 999}},
    "k 301: knowledge base .* has 300 entries": {"cell": {"k": 301}},
    "300 x 32, the cell says 301 x 32": {"cell": {"size": 301}},
    "300 x 32, the cell says 300 x 64": {"cell": {"dim": 64}},
    "values of .* 300 x 2, the cell says 300 x 3": {"cell": {"classes": 3}},
    "nowhere.* does not exist": {"base": "nowhere"},
    "nowhere.* does not exist ": {"index": "nowhere"},
    "nowhere holds no queries": {"queries": "nowhere"},
    "nowhere holds no inputs": {"inputs": "nowhere"},
    "cannot load an encoder from nowhere": {"student": {"kind": "folder", "path": "nowhere"}},
    "the student is 16 wide, the knowledge base 32": {
        "student": {"kind": "random", "width": 16, "layers": 1, "heads": 2, "vocabulary": 50}
    },
    "inputs hold id .*, the student knows 20 tokens": {
        "student": {"kind": "random", "width": 32, "layers": 1, "heads": 2, "vocabulary": 20}
    },
    "unknown ANN backend 'exat': did you mean 'exact'": {"spec": "exat"},
}


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("message", BAD_JOBS)
def test_a_bad_job_is_one_line_and_exit_code_2(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    changes: dict[str, Any] = dict(BAD_JOBS[message])
    given = job(base, tmp_path, cell=changes.pop("cell", {}))
    refused({**given, **changes}, tmp_path, capsys, message.strip())


def refused(
    given: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    (folder / "job.json").write_text(json.dumps(given), encoding="utf-8")
    assert worker.main([str(folder / "job.json"), str(folder / "r.npz")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("error: ")
    assert re.search(message, told.err), told.err
    assert not (folder / "r.npz").exists()


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize(("rows", "width"), [(SIZE - 1, DIM), (SIZE, DIM // 2)])
def test_an_index_of_another_base_is_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: int, width: int
) -> None:
    index = ann.make("exact")
    index.build(np.random.default_rng(0).standard_normal((rows, width)))
    index.save(tmp_path / "index")
    given = job(base, tmp_path, index=str(tmp_path / "index"))
    refused(given, tmp_path, capsys, f"{rows} x {width}, the cell says {SIZE} x {DIM}")


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [(np.nan, "query 7 holds NaN or infinity"), (0.0, "query 7 is all zeros")],
)
def test_queries_without_a_direction_are_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: float, message: str
) -> None:
    queries = load_file(base / "queries.safetensors")["queries"]
    queries[7] = spoil
    save_file({"queries": queries}, tmp_path / "bad.safetensors")
    given = job(base, tmp_path, queries=str(tmp_path / "bad.safetensors"))
    refused(given, tmp_path, capsys, message)


@pytest.mark.usefixtures("own_process")
def test_a_job_that_is_missing_or_no_json_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "half.json").write_text('{"cell": {', encoding="utf-8")
    for name in ("half.json", "none.json"):
        assert worker.main([str(tmp_path / name), str(tmp_path / "r.npz")]) == 2
        told = capsys.readouterr().err
        assert name in told
        assert told.count("\n") == 1
    assert worker.main([]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.slow
def test_a_kill_while_writing_leaves_no_half_result(base: Path, tmp_path: Path) -> None:
    words, variables = command(base, tmp_path)
    code = f"""if True:
        import os, signal
        from bench.measure import worker
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        worker.main({words[3:]!r})
    """
    done = subprocess.run([sys.executable, "-c", code], env=variables, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "r.npz").exists()


REDUCED = {"condense": "random:40", "rows": SIZE, "pca": 8, "value_bits": 8, "weigh": True}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A base of few entries with counts, short keys and values of 8 bits."""
    folder = tmp_path_factory.mktemp("reduced")
    full = KnowledgeBase.load(base).compressed(8)
    counts = np.arange(1, 41)
    rows = (full.keys[:40], full.values[:40], full.ids[:40])
    few = KnowledgeBase.build(*rows, counts=counts, basis=full.basis)
    few.quantised().save(folder)
    shutil.copy(base / "queries.safetensors", folder)
    return folder


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("backend", ["exact", "hnswlib"])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_reduced_base_is_measured_as_it_is_served(
    small: Path, tmp_path: Path, backend: str, batch: int
) -> None:
    cell = {"size": 40, "reduction": REDUCED, "backend": backend, "batch": batch}
    result = run(small, tmp_path, cell=cell)
    assert result["added"].shape == (2, 12 // batch)
    assert "asked" not in result


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize(("above", "asked"), [(0.999, [4, 4, 4]), (0.0, [0, 0, 0])])
def test_how_many_inputs_of_each_batch_were_searched_is_told(
    base: Path, tmp_path: Path, above: float, asked: list[int]
) -> None:
    result = run(base, tmp_path, cell={"reduction": {"skip_above": above}})
    assert result["asked"].tolist() == asked


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"size": 40, "reduction": REDUCED | {"pca": 4}}, "40 x 8, the cell says 40 x 4"),
        ({"size": 40}, "40 x 8, the cell says 40 x 32"),
    ],
)
def test_keys_of_another_width_are_named(
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    cell: dict[str, Any],
    message: str,
) -> None:
    refused(job(small, tmp_path, cell=cell), tmp_path, capsys, message)


def test_a_query_path_that_stopped_retrieving_measures_nothing(
    base: Path, tmp_path: Path, own_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overhead of next to nothing would hold every limit."""
    from reaugkd.retrieval.query import QueryPath

    def student_alone(path: QueryPath, logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return logits.float().softmax(dim=1)

    asked = LatencyJob.model_validate(job(base, tmp_path))
    timed.measure(asked, os.getloadavg())
    monkeypatch.setattr(QueryPath, "__call__", student_alone)
    with pytest.raises(UserError, match="nothing was measured"):
        timed.measure(asked, os.getloadavg())
