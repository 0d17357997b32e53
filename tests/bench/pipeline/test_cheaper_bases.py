"""Cheaper bases of a finished student: made of what is there, chosen for again, exported."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from bench.pipeline.base import BaseBuilder
from bench.pipeline.workbench import Workbench
from bench.records.base import Base
from bench.records.run import Record, RetrievalResult, comparable
from bench.records.store import Store
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.models.encoder import Encoder
from reaugkd.registry import Entry
from reaugkd.reporter import Silent
from reaugkd.retrieval import skip
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.condense import CONDENSERS
from reaugkd.retrieval.condense.condenser import Condenser, Questions, rows_of
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import probabilities
from reaugkd.tasks import load
from reaugkd.training.inference import Outputs
from tests.bench import runs
from tests.bench.report.factory import strict

WHOLE = "reaugkd exact projected soft"
FLAGS = (
    "--methods", "reaugkd",
    "--ann", "exact",
    "--beta", "0.02",  # or the student of one epoch would rather not ask
    "--condense", "full,random:600,random:60,random:60@1,random:3",
    "--pca", "none,8",
    "--value-bits", "32,8",
    "--skip", "never,lossless,risk:30%",
    "--set", "retrieval.design=one-at-a-time",
)  # fmt: skip


def result(record: Record) -> RetrievalResult:
    assert record.retrieval is not None, record.reason
    return record.retrieval


@pytest.fixture(scope="module")
def out(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished student before cheaper bases; nothing is trained, and no text is read again."""
    folder = tmp_path_factory.mktemp("cheaper") / "out"

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("no model may read a row again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reaugkd.models.probe.prove", lambda *_, **__: None)
        patch.setattr(Encoder, "forward", refuse)
        done = runs.run(finished, "--out", folder, *FLAGS)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def found(out: Path) -> dict[str, Record]:
    return runs.records(out)


def test_every_base_is_there(found: dict[str, Record]) -> None:
    cheaper = ("random:600", "random:60", "random:60@1", "random:3")
    cheaper += ("pca 8", "8-bit", "lossless", "risk:0.3")
    retrieved = [name for name, record in found.items() if record.kind == "retrieval"]
    assert sorted(retrieved) == sorted([WHOLE, *(f"{WHOLE} {name}" for name in cheaper)])


def test_as_many_entries_as_rows_are_the_whole_base_bit_for_bit(
    out: Path, found: dict[str, Record]
) -> None:
    whole, same = found[WHOLE], found[f"{WHOLE} random:600"]
    fields = {"condense", "condense_seconds"}
    expected = result(whole).model_dump(exclude=fields | {"search"})
    assert result(same).model_dump(exclude=fields | {"search"}) == expected
    for name, array in Store(out).arrays(whole.key).items():
        assert np.array_equal(Store(out).arrays(same.key)[name], array)


def test_k_is_chosen_of_those_that_fit(found: dict[str, Record]) -> None:
    assert result(found[WHOLE]).ks == [1, 2, 4, 8]
    few = result(found[f"{WHOLE} random:3"])
    assert (few.entries, few.ks) == (3, [1, 2])
    assert few.chosen.k in few.ks


def test_figures_of_a_condensed_base(found: dict[str, Record]) -> None:
    whole, part = result(found[WHOLE]), result(found[f"{WHOLE} random:60"])
    assert part.condense == "random:60"
    assert part.kb_bytes == whole.kb_bytes / 10
    assert whole.condense_seconds is None
    assert part.condense_seconds is not None
    for each in (whole, part):
        assert each.search.added_us_p50 is not None
        assert each.search.added_us_p95 is not None
        assert 0 < each.search.added_us_p50 <= each.search.added_us_p95
    another = found[f"{WHOLE} random:60@1"]
    assert another.key != found[f"{WHOLE} random:60"].key
    seconds = comparable(found[f"{WHOLE} random:60"])["retrieval"]
    assert not {"condense_seconds", "added_us_p50"} & {*seconds, *seconds["search"]}


def test_reduced_keys_and_rounded_values(out: Path, found: dict[str, Record]) -> None:
    whole, reduced, rounded = (found[f"{WHOLE}{name}"] for name in ("", " pca 8", " 8-bit"))
    assert (result(whole).width, result(reduced).width, result(reduced).pca) == (32, 8, 8)
    assert result(rounded).value_bits == 8
    assert result(rounded).kb_bytes == result(whole).kb_bytes - 600 * 3 * 3  # bytes of 3 classes
    store = Store(out)
    near = (store.arrays(record.key)["outputs.dev"] for record in (rounded, whole))
    assert abs(np.subtract(*near)).max() < 0.02 / 255 + 1e-6


def test_who_is_skipped_is_answered_by_the_student(
    finished: Path, out: Path, found: dict[str, Record]
) -> None:
    student = Store(finished / "out").arrays(found["reaugkd"].key)
    always = Store(out).arrays(found[WHOLE].key)
    for rule in ("lossless", "risk:0.3"):
        record = found[f"{WHOLE} {rule}"]
        facts, arrays = result(record).skip, Store(out).arrays(record.key)
        assert facts is not None
        assert facts.rule == rule
        for split in ("held_out", "dev"):
            own = probabilities(student[f"logits.{split}"])
            threshold = np.inf if facts.threshold is None else facts.threshold
            alone = skip.margins(own) > threshold
            expected = np.where(alone[:, None], own, always[f"outputs.{split}"])
            assert np.array_equal(arrays[f"outputs.{split}"], expected)
            assert facts.skipped[split] == alone.mean()
            classes = arrays[f"outputs.{split}"].argmax(axis=1)
            differ = classes != always[f"outputs.{split}"].argmax(axis=1)
            assert facts.differs[split] == differ.mean()
    lossless, proved = (result(found[f"{WHOLE} {rule}"]) for rule in ("lossless", "risk:0.3"))
    assert lossless.skip is not None
    assert set(lossless.skip.differs.values()) == {0.0}
    assert lossless.chosen.scores == result(found[WHOLE]).chosen.scores
    assert proved.skip is not None
    assert proved.skip.skipped["dev"] > lossless.skip.skipped["dev"]
    assert proved.skip.differs["held_out"] <= 0.3


def test_a_rule_that_nothing_can_prove_asks_always_and_says_so(
    finished: Path, tmp_path: Path, out: Path, found: dict[str, Record]
) -> None:
    flags = ("--methods", "reaugkd", "--ann", "exact", "--beta", "0.02", "--skip", "risk:0.1%")
    done = runs.run(finished, "--out", tmp_path, *flags)
    assert "asks always" in done.output
    record = runs.records(tmp_path)[f"{WHOLE} risk:0.001"]
    facts = result(record).skip
    assert facts is not None
    assert facts.threshold is None
    assert set(facts.skipped.values()) == {0.0}
    same = Store(tmp_path).arrays(record.key)["outputs.dev"]
    assert np.array_equal(same, Store(out).arrays(found[WHOLE].key)["outputs.dev"])


def test_entries_weigh_as_the_rows_they_stand_for_where_that_is_asked(
    finished: Path, tmp_path: Path
) -> None:
    flags = ("--methods", "reaugkd", "--ann", "exact", "--beta", "0.5", "--condense", "kmeans:12")
    weigh = ("--set", "retrieval.count_weight=[false, true]", "--k", "8", "--tau", "1")
    out, cache = tmp_path / "out", finished / "cache"
    assert runs.run(finished, "--out", out, *flags, *weigh).exit_code == 0
    plain, counted = (runs.records(out)[f"{WHOLE} kmeans:12{words}"] for words in ("", " counts"))
    assert not result(plain).count_weight
    assert result(counted).count_weight
    assert result(plain).kb_bytes == result(counted).kb_bytes
    outputs = [Store(out).arrays(record.key)["outputs.dev"] for record in (plain, counted)]
    assert not np.allclose(*outputs, atol=1e-3)
    for words, expected in zip(("--no-count-weight", "--count-weight"), outputs, strict=True):
        to = ("--cache", cache, "--to", tmp_path / words)
        assert runs.bench("export", out, words, *to).exit_code == 0
        classifier = RetrievalAugmentedClassifier.from_pretrained(tmp_path / words)
        dev = load("follows", limit=800).tests["dev"].select(range(20))
        answers = classifier.predict(list(zip(dev["text_a"], dev["text_b"], strict=True)))
        assert np.allclose(answers.probabilities, expected[:20], atol=1e-5)


class Curious(Condenser):
    """Every second row, and what it was told of a student."""

    name: ClassVar[str] = "curious"
    asks: ClassVar[bool] = True
    told: ClassVar[list[tuple[KnowledgeBase, Questions]]] = []

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        assert questions is not None
        self.told.append((base, questions))
        return rows_of(base, np.arange(0, len(base), 2)[: self.entries])


def test_a_condenser_that_asks_is_told_what_the_student_says_of_the_rows_of_the_base(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry(f"{__name__}:Curious", "for this test")
    monkeypatch.setitem(CONDENSERS._entries, "curious", entry)
    config = runs.resolved().tasks["follows"]
    workbench = Workbench(ArtifactStore(finished / "cache"), Silent(), "test")
    pipeline = workbench.pipeline(config)
    base = Base("reaugkd", 0, "projected", "soft", 0.5, condense="curious:20", pca=8)
    builder, outputs = BaseBuilder(pipeline, base), pipeline.outputs
    reads = iter((0.5,))  # as if the first pass over fit took so long

    def slow(method: str, seed: int, split: str) -> Outputs:
        if split == "fit":
            time.sleep(next(reads, 0.0))
        return outputs(method, seed, split)

    monkeypatch.setattr(pipeline, "outputs", slow)
    assert builder.identity["student"] == pipeline.student_identity("reaugkd", 0)
    made, seconds = builder.built
    assert seconds is not None
    assert seconds < 0.5  # of which a student's pass is no part
    ((given, questions),) = Curious.told
    assert (len(given), given.keys.shape[1], len(made)) == (300, 8, 20)
    assert made.basis is not None
    assert dict(made.manifest) == builder.identity
    rows = np.searchsorted(np.asarray(pipeline.rows.data.fit["idx"]), given.ids)
    fit = pipeline.outputs("reaugkd", 0, "fit")
    assert np.array_equal(questions.fit.queries, given.queries(fit.embedding[rows]))
    assert np.array_equal(questions.fit.student, probabilities(fit.logits[rows]))
    assert np.array_equal(questions.fit.labels, pipeline.rows.labels("fit")[rows])
    assert len(questions.held_out.labels) == 200
    again = BaseBuilder(pipeline, base).built.knowledge_base
    assert np.array_equal(again.keys, made.keys)
    assert len(Curious.told) == 1  # it was found in the cache


@pytest.mark.parametrize(
    "choice", [("--condense", "random:60"), ("--pca", 8), ("--skip", "lossless")]
)
def test_an_export_answers_as_its_cell(
    choice: tuple[str, object], finished: Path, out: Path, found: dict[str, Record], tmp_path: Path
) -> None:
    usual = {"--condense": "full", "--pca": "none", "--value-bits": 32, "--skip": "never"}
    flags = [word for pair in (usual | {choice[0]: choice[1]}).items() for word in pair]
    done = runs.bench("export", out, "--cache", finished / "cache", "--to", tmp_path / "c", *flags)
    assert done.exit_code == 0, done.output
    classifier = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "c")
    dev = load("follows", limit=800).tests["dev"].select(range(40))
    pairs = list(zip(dev["text_a"], dev["text_b"], strict=True))
    prediction = classifier.predict(pairs)
    name = "pca 8" if choice[0] == "--pca" else str(choice[1])
    expected = Store(out).arrays(found[f"{WHOLE} {name}"].key)["outputs.dev"][:40]
    assert np.allclose(prediction.probabilities, expected, atol=1e-5)


def test_the_report_of_such_a_run_in_every_format(out: Path, tmp_path: Path) -> None:
    flags = ("--format", "md,tidy,csv,parquet,json,latex,html", "--figures", "svg")
    done = runs.bench("report", out, "--out", tmp_path, *flags)
    assert done.exit_code == 0, done.output
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "Smaller knowledge bases" in text
        assert "random:60" in text
    for name in ("tables/condensing.csv", "tables/condensing.tex", "figures/condensed-by-time.svg"):
        assert (tmp_path / name).stat().st_size > 0
    rows = strict((tmp_path / "results.json").read_text(encoding="utf-8"))["condensing"]
    assert [row["base"] for row in rows if row["draws"] == 2] == ["exact, random:60"]
    scores = pd.read_csv(tmp_path / "results.csv", keep_default_na=False)
    cells = ["method", "seed", "retrieval", "backend", "condense", "pca", "value_bits", "skip_rule"]
    assert not scores.duplicated([*cells, "split", "metric"]).any()


def test_an_export_of_one_of_several_bases_must_be_told_which(
    finished: Path, out: Path, tmp_path: Path
) -> None:
    done = runs.bench("export", out, "--cache", finished / "cache", "--to", tmp_path / "c")
    assert done.exit_code == 2
    assert "random:60" in done.output
