"""Retrieval cells: every knowledge base, one sweep, honest choices, and nothing trained twice."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.pipeline.data import TaskRows
from bench.records.run import Record, RetrievalResult
from bench.records.store import Store
from reaugkd.artifacts.store import Artifact, ArtifactStore
from reaugkd.models import probe
from reaugkd.models.encoder import Encoder
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.training import inference
from tests.bench import runs

BASES = list(product(("projected", "teacher", "student"), ("soft", "hard")))
ALL = (
    "--set", 'retrieval.keys=["projected", "teacher", "student"]',
    "--set", 'retrieval.values=["soft", "hard"]',
    "--methods", "reaugkd",
    "--ann", "exact",
)  # fmt: skip


def result(record: Record) -> RetrievalResult:
    assert record.retrieval is not None, record.reason
    return record.retrieval


@pytest.fixture(scope="module")
def bases(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished student before all six knowledge bases."""
    out = tmp_path_factory.mktemp("bases") / "out"
    done = runs.run(finished, "--out", out, *ALL)
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize(("keys", "values"), BASES)
def test_every_knowledge_base_is_swept_and_chosen_from(keys: str, values: str, bases: Path) -> None:
    record = runs.records(bases)[f"reaugkd exact {keys} {values}"]
    found, arrays = result(record), Store(bases).arrays(record.key)
    training = runs.records(bases)["reaugkd"].training
    assert training is not None
    assert (found.keys, found.values) == (keys, values)
    assert found.entries == training.rows["fit"]
    assert found.off == training.scores
    for split in ("held_out", "dev"):
        table = arrays[f"sweep.{split}"]
        assert table.shape == (len(found.taus), len(found.ks), len(found.betas))
        for choice in (found.chosen, found.optimistic):
            at = (
                found.taus.index(choice.tau),
                found.ks.index(choice.k),
                found.betas.index(choice.beta),
            )
            assert table[at] == choice.scores[split]["accuracy"]
        off = found.off[split]["accuracy"]
        assert np.allclose(table[:, :, found.betas.index(0.0)], off, rtol=0, atol=1e-12)
    # each choice is the best where it was made
    assert (found.chosen.selected_on, found.optimistic.selected_on) == ("held_out", "dev")
    for choice in (found.chosen, found.optimistic):
        split = choice.selected_on
        assert choice.scores[split]["accuracy"] == arrays[f"sweep.{split}"].max()
    assert found.optimistic.scores["dev"]["accuracy"] >= found.chosen.scores["dev"]["accuracy"]
    assert found.chosen.scores["held_out"]["accuracy"] >= found.off["held_out"]["accuracy"]


def test_the_kept_outputs_score_what_the_record_says(finished: Path) -> None:
    labels = Store(finished / "out").arrays(runs.records(finished / "out")["reaugkd"].key)
    for name, record in runs.records(finished / "out").items():
        if record.kind == "retrieval":
            arrays = Store(finished / "out").arrays(record.key)
            for split, scores in result(record).chosen.scores.items():
                outputs = arrays[f"outputs.{split}"]
                assert np.allclose(outputs.sum(axis=1), 1, atol=1e-5), name
                right = outputs.argmax(axis=1) == labels[f"labels.{split}"]
                assert right.mean() == pytest.approx(scores["accuracy"])


def test_exact_agrees_with_itself_and_others_are_measured_against_it(finished: Path) -> None:
    found = runs.records(finished / "out")
    exact = result(found["reaugkd exact projected soft"]).search
    graph = result(found["reaugkd hnswlib projected soft"]).search
    assert set(exact.recall.values()) == set(exact.agreement.values()) == {1.0}
    assert exact.effort is None
    assert graph.effort is not None
    assert graph.target_met == (graph.target <= 0.99)
    assert all(0.9 <= value <= 1 for value in (*graph.recall.values(), *graph.agreement.values()))
    assert 0 < graph.search_us_p50 <= graph.search_us_p95
    assert graph.index_bytes > exact.index_bytes / 2 > 0


def test_a_smaller_list_of_k_gives_the_same_scores(finished: Path, tmp_path: Path) -> None:
    """One search at the largest k serves every smaller one."""
    flags = ("--k", "4,1", "--ann", "exact", "--methods", "reaugkd")
    done = runs.run(finished, "--out", tmp_path, *flags)
    assert done.exit_code == 0
    name = "reaugkd exact projected soft"
    large, small = runs.records(finished / "out")[name], runs.records(tmp_path)[name]
    assert (result(large).ks, result(small).ks) == ([1, 2, 4, 8], [1, 4])
    for split in ("held_out", "dev"):
        whole = Store(finished / "out").arrays(large.key)[f"sweep.{split}"]
        part = Store(tmp_path).arrays(small.key)[f"sweep.{split}"]
        assert np.array_equal(part, whole[:, [0, 2]])


def test_without_weight_retrieval_changes_nothing(finished: Path, tmp_path: Path) -> None:
    done = runs.run(finished, "--out", tmp_path, "--beta", "0", "--methods", "reaugkd")
    assert done.exit_code == 0
    for record in runs.records(tmp_path).values():
        if record.kind == "retrieval":
            found = result(record)
            assert found.chosen.scores == found.optimistic.scores == found.off
            assert set(found.search.agreement.values()) == {1.0}


def kept(folder: Path, kind: str) -> list[Path]:
    return [path.parent for path in (folder / "cache" / kind).glob("*/manifest.json")]


def test_the_knowledge_base_holds_fit_rows_only(finished: Path, bases: Path) -> None:
    config = runs.resolved().tasks["follows"]
    rows = TaskRows(config, ArtifactStore(finished / "cache")).data
    found = [KnowledgeBase.load(path) for path in kept(finished, "knowledge-base")]
    whole = [base for base in found if not {"condense", "share"} & base.manifest.keys()]
    assert len(whole) >= len(BASES)  # other tests share the cache
    for base in whole:
        assert base.ids.tolist() == list(rows.fit["idx"])
    for base in found:
        assert set(base.ids) <= set(rows.fit["idx"])
        assert not set(base.ids) & set(rows.held_out["idx"])


class Spy:
    """Rows that encoders of the teacher's depth read, and which artefacts are built."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.teacher_rows = 0
        self.built: list[str] = []
        self.signals: dict[str, int] = {}
        forward = Encoder.forward

        def counted(model: Encoder, input_ids: torch.Tensor, *rest: Any, **more: Any) -> Any:
            if model.backbone.config.num_hidden_layers == 2:
                self.teacher_rows += len(input_ids)
            return forward(model, input_ids, *rest, **more)

        build, run = ArtifactStore._build, inference.run

        def noted(store: Any, folder: Path, *rest: Any) -> Artifact:
            self.built.append(folder.parent.name)
            return build(store, folder, *rest)

        def watched(encoder: Encoder, rows: Any, *rest: Any, **more: Any) -> Any:
            stage = more.get("stage") or ""
            if stage.startswith("teacher signals"):
                self.signals[stage] = self.signals.get(stage, 0) + len(rows)
            return run(encoder, rows, *rest, **more)

        patch.setattr(probe, "prove", lambda *_, **__: None)  # its few texts are no rows
        patch.setattr(Encoder, "forward", counted)
        patch.setattr(ArtifactStore, "_build", noted)
        patch.setattr(inference, "run", watched)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


def test_the_teacher_reads_every_row_once_for_all_it_teaches(tmp_path: Path, spy: Spy) -> None:
    done = runs.run(tmp_path, "--methods", "kd,reaugkd", "--seeds", "0,1", "--ann", "exact")
    assert done.exit_code == 0
    rows = {"fit": 600, "held_out": 200, "dev": 1000}
    assert spy.signals == {f"teacher signals: {split}": count for split, count in rows.items()}
    epochs, once = 3, sum(rows.values())
    tuned = epochs * (rows["fit"] + rows["held_out"]) + rows["held_out"] + rows["dev"]
    assert spy.teacher_rows == tuned + once
    assert spy.built.count("teacher") == spy.built.count("signals") == 1
    assert spy.built.count("student") == 4
    assert spy.built.count("tokens") == 1


@pytest.mark.parametrize("flags", [("--k", "3,5"), ("--ann", "annoy"), ("--tau", "0.3")])
def test_another_question_to_the_same_student_trains_nothing(
    flags: tuple[str, ...], finished: Path, tmp_path: Path, spy: Spy,
    nothing_trains: None,
) -> None:  # fmt: skip
    done = runs.run(finished, "--out", tmp_path / "out", *flags)
    assert done.exit_code == 0, done.output
    assert spy.teacher_rows == 0
    assert set(spy.built) <= {"index"}
    before, after = runs.results(finished / "out"), runs.results(tmp_path / "out")
    assert after["reaugkd"] == before["reaugkd"]


def test_a_regression_runs_from_end_to_end(tmp_path: Path) -> None:
    done = runs.run(tmp_path, "--tasks", "alike", *ALL, "--set", "teacher.recipe.epochs=4")
    assert done.exit_code == 0, done.output
    found = runs.records(tmp_path / "out")
    assert len(found) == 1 + len(BASES)
    for record in found.values():
        assert record.regression
        assert record.metrics == ["pearson", "spearman"]
    labels = Store(tmp_path / "out").arrays(found["reaugkd"].key)["labels.dev"]
    for keys, values in BASES:
        record = found[f"reaugkd exact {keys} {values}"]
        outputs = Store(tmp_path / "out").arrays(record.key)["outputs.dev"]
        assert outputs.shape == (len(labels), 1)
        chosen = result(record).chosen.scores["dev"]["pearson"]
        assert chosen == pytest.approx(np.corrcoef(outputs[:, 0], labels)[0, 1], abs=1e-4)
    report = runs.bench("report", tmp_path / "out")
    assert report.exit_code == 0
    assert "pearson" in report.output.lower()
