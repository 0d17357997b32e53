"""What a run and a classifier bring: the student, its base, and sentences that are not in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.measure import served
from bench.measure.inputs import Inputs
from bench.measure.options import Options
from bench.measure.plan import plan
from bench.measure.subjects import Subject
from bench.records.measurement import Reduction
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.skip import lossless


@pytest.fixture(scope="module")
def store(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    cache = tmp_path_factory.mktemp("cache") / "cache"
    shutil.copytree(finished / "cache", cache)
    return ArtifactStore(cache)


def subject(store: ArtifactStore, **values: Any) -> Subject:
    return served.subject(Options.of(threads=(1,), build_threads=1, **values), store, Silent())


@pytest.fixture(scope="module")
def real(finished: Path, store: ArtifactStore) -> Subject:
    return subject(store, run=finished / "out", method="reaugkd", beta=0.5)


def student(of: Subject) -> Path:
    return Path(of.student().path)  # type: ignore[union-attr]  # a folder


def test_a_run_gives_its_student_its_base_and_sentences_that_are_not_in_it(real: Subject) -> None:
    source, inputs = real.source, Inputs.load(real.inputs[0].path)
    encoder, base = Encoder.from_pretrained(student(real)), KnowledgeBase.load(source.folder)
    assert (source.size, source.dim, source.classes) == (*base.keys.shape, base.values.shape[1])
    assert not source.generated
    assert len(inputs) == len(source.queries) == len(source.student)
    assert source.dim == encoder.width
    np.testing.assert_allclose(source.student.sum(axis=1), 1.0, rtol=1e-5)
    batch = inputs.tensors(np.arange(3))
    np.testing.assert_allclose(
        encoder(**batch).embedding.detach().numpy(), source.queries[:3], rtol=1e-4, atol=1e-5
    )


def test_an_exported_classifier_is_measured_as_its_run(
    real: Subject, store: ArtifactStore, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(student(real).parent, folder)
    other = subject(store, classifier=folder, task="follows", beta=0.5)
    assert (other.ks, other.tau, other.beta) == (real.ks, real.tau, real.beta)
    sizes = [(s.size, s.dim, s.classes) for s in (other.source, real.source)]
    assert sizes[0] == sizes[1]


@pytest.fixture
def cheap(real: Subject, tmp_path: Path) -> Path:
    """An exported classifier: few entries that weigh, short keys, 8-bit values, skipping."""
    whole = RetrievalAugmentedClassifier.from_pretrained(student(real).parent)
    base = whole.knowledge_base.compressed(8)
    rows = (base.keys[:20], base.values[:20], base.ids[:20])
    few = KnowledgeBase.build(
        *rows, {"condense": "kmeans:20"}, np.arange(1, 21), base.basis
    ).quantised()
    index = ann.make("exact")
    index.build(few.keys)
    settings = {"k": 3, "tau": 0.1, "beta": 0.25, "weigh": True, "skip_above": 0.6}
    folder = tmp_path / "cheap"
    cheaper = RetrievalAugmentedClassifier(
        whole.encoder, whole.tokenizer, few, index, pair=whole.pair, **settings
    )
    cheaper.save_pretrained(folder)
    return folder


def test_a_classifier_brings_what_was_done_to_its_base(cheap: Path, store: ArtifactStore) -> None:
    source = subject(store, classifier=cheap, task="follows").source
    assert source.reduction == Reduction(
        condense="kmeans:20", rows=210, pca=8, value_bits=8, weigh=True, skip_above=0.6
    )
    assert (source.size, source.width) == (20, 8)
    assert source.queries.shape[1] == source.dim > 8


@pytest.mark.parametrize(
    ("rule", "beta", "above"),
    [
        (None, None, 0.6),
        ("never", None, None),
        ("lossless", None, lossless(0.25)),
        ("lossless", 0.4, lossless(0.4)),
        ("lossless", 0.5, None),  # a neighbour can change anything
    ],
)
def test_another_rule_of_skipping_is_another_cell(
    cheap: Path, store: ArtifactStore, rule: str | None, beta: float | None, above: float | None
) -> None:
    wanted: dict[str, Any] = {"classifier": cheap, "task": "follows", "beta": beta, "skip": rule}
    found = subject(store, **wanted).source.reduction
    assert found is not None
    assert found.skip_above == above
    options = {"threads": (1,), "build_threads": 1, "ann": ("exact",)}
    (planned,) = plan(Options.of(**wanted, **options), store)
    assert planned.identity.get("skip_above") == above
    assert ("skipped above" in planned.label) is (above is not None)


def test_a_classifier_as_before_has_nothing_done_to_it(real: Subject) -> None:
    assert real.source.reduction is None


def test_what_cannot_be_measured_is_told(
    finished: Path, store: ArtifactStore, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="one retrieval cell must fit"):
        subject(store, run=finished / "out", method="nothing")
    with pytest.raises(UserError, match=str(tmp_path)):
        subject(store, classifier=tmp_path, task="follows")
