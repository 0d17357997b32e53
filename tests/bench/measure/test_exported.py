"""Latency of a student behind onnxruntime: cells of their own, and torch's stay as they were."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("onnxruntime", reason="the extra 'onnx' is optional")

from bench.measure import exported, forward, limits
from bench.measure.job import OnnxStudent, RandomStudent
from bench.measure.plan import CODE, MeasurementPlan, plan
from bench.records import definitions
from bench.report.sections import latency
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import MissingLibraryError, ModelError, UnknownNameError, UserError
from reaugkd.models import runtime
from reaugkd.models.encoder import Encoder
from reaugkd.models.onnx_encoder import OnnxEncoder
from tests.bench.measure import judged, test_worker
from tests.bench.measure.test_latency import asked
from tests.bench.measure.test_worker import DIM, VOCABULARY, base, own_process  # noqa: F401


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


def planned(store: ArtifactStore, **changes: Any) -> dict[str | None, MeasurementPlan]:
    return {each.cell.runtime: each for each in plan(asked(**changes), store)}


def test_the_backend_is_part_of_a_cell_and_torch_stays_as_it_was(store: ArtifactStore) -> None:
    cells = planned(store, backend=("torch", "onnx", "onnx-int8"))
    assert len({each.key for each in cells.values()}) == 3
    plain = planned(store)[None]
    assert cells[None].key == plain.key
    assert cells[None].identity.keys() == plain.identity.keys()
    assert "runtime" not in plain.cell.model_dump(mode="json")
    assert cells["onnx"].identity["runtime"] == "onnx"
    assert cells["onnx"].identity["libraries"].keys() == {"onnx", "onnxruntime"}
    assert cells["onnx"].identity["code"] == definitions.of_files(*CODE)
    assert [cells[name].cell.label.split()[-1] for name in (None, "onnx-int8")] == [
        "fp32",
        "onnx-int8",
    ]


def test_the_folder_of_measurements_of_torch_keeps_its_name() -> None:
    assert "backend" not in asked().model_dump(mode="json")
    assert asked(backend=("onnx", "onnx")).model_dump(mode="json")["backend"] == ["onnx"]


def test_a_mistake_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="unknown backend 'onx': did you mean 'onnx'"):
        asked(backend=("onx",))
    with pytest.raises(UserError, match="--precision fp32,int8 is of --backend torch"):
        asked(backend=("torch", "onnx"), precision=("fp32", "int8"))
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError, match=r"reaugkd\[onnx\]"):
        asked(backend=("onnx",))


def test_the_promise_of_condensed_bases_is_torchs(store: ArtifactStore) -> None:
    cells = planned(store, backend=("torch", "onnx"), condense=("kmeans:16",))
    assert limits.limit(cells[None].cell) == 0.005
    assert limits.limit(cells["onnx"].cell) == limits.GENERAL


def test_an_exported_student_is_made_once_and_answers_as_torchs(store: ArtifactStore) -> None:
    each = planned(store, backend=("onnx",))["onnx"]
    source = each.student(store)
    assert isinstance(source, OnnxStudent)
    assert each.student(ArtifactStore(store.root)) == source
    onnx, own = (forward.load(each, "fp32", 2) for each in (source, each.subject.student()))
    assert isinstance(onnx, OnnxEncoder)
    assert isinstance(own, Encoder)
    ids = torch.arange(5, 13)[None]
    outputs = [encoder(ids, torch.ones_like(ids)) for encoder in (onnx, own)]
    torch.testing.assert_close(outputs[0].embedding, outputs[1].embedding, atol=1e-5, rtol=0)
    with pytest.raises(ModelError, match="has 2 outputs, the knowledge base 3"):
        forward.load(source, "fp32", 3)


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("name", ["onnx", "onnx-int8"])
def test_a_process_times_it(base: Path, tmp_path: Path, name: str) -> None:  # noqa: F811
    origin = RandomStudent(width=DIM, layers=2, heads=2, vocabulary=VOCABULARY)
    exported.export(origin, 2, tmp_path / "student", name)  # type: ignore[arg-type]
    source = {"kind": "onnx", "path": str(tmp_path / "student"), "runtime": name}
    seen = test_worker.run(base, tmp_path, student=source, cell={"runtime": name})
    assert seen["forward"].shape == seen["added"].shape == (2, 3)
    assert min(seen["forward"].min(), seen["added"].min()) > 0
    (tmp_path / "student" / "onnx" / runtime.FILES[name]).write_bytes(b"")
    given = tmp_path / "job.json"
    assert test_worker.worker.main([str(given), str(tmp_path / "r.npz")]) == 2


def test_the_tables_name_it() -> None:
    records = [
        judged.record(key=str(number), cell=judged.cell(runtime=name))
        for number, name in enumerate((None, "onnx-int8"))
    ]
    frame = latency.of_records(records)
    assert frame["setting"].tolist() == ["batch 1, fp32", "batch 1, onnx-int8"]
    assert latency.tidy(frame)["runtime"].fillna("torch").tolist() == ["torch", "onnx-int8"]
    assert "runtime" not in latency.tidy(latency.of_records(records[:1]))
    inputs = SimpleNamespace(latency=records)
    shown = [view.table(frame) for view in latency.SECTION.views(frame, inputs)]  # type: ignore[arg-type]
    assert {"fp32", "onnx-int8"} <= {cell for row in shown[-1].rows for cell in row}
