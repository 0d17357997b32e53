from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.measure.bases import BaseSource, generated
from bench.measure.indexes import Built, Indexes, Mixture, Target
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.retrieval.ann.hnswlib import Hnswlib
from reaugkd.retrieval.knowledge_base import require_own

MIXTURE = Mixture(k=10, tau=0.1, beta=0.5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def source(store: ArtifactStore) -> BaseSource:
    return generated(store, "2000", 32)


@pytest.fixture(scope="module")
def indexes(store: ArtifactStore, source: BaseSource) -> Indexes:
    return Indexes(store, source, build_threads=1)


def test_exact_agrees_with_itself_and_costs_no_build(indexes: Indexes) -> None:
    facts = indexes.tuned("exact", MIXTURE, Target.parse("recall:1"), 1)
    assert (facts.recall, facts.agreement, facts.drift) == (1.0, 1.0, 0.0)
    assert (facts.build_seconds, facts.effort, facts.target_met) == (0.0, None, True)


def test_a_higher_target_takes_more_effort_and_finds_more(indexes: Indexes) -> None:
    low, high = (
        indexes.tuned("hnswlib", MIXTURE, Target.parse(target), 1)
        for target in ("recall:0.7", "recall:0.999")
    )
    assert low.effort is not None
    assert high.effort is not None
    assert low.effort < high.effort
    assert low.recall < high.recall
    assert low.key == high.key  # one index, searched with two efforts


def test_an_index_is_built_once_and_a_target_tuned_once(
    store: ArtifactStore, source: BaseSource, indexes: Indexes, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target.parse("recall:0.9")
    first = indexes.tuned("hnswlib", MIXTURE, target, 1)
    monkeypatch.setattr(Hnswlib, "_build", _forbidden)
    monkeypatch.setattr(Hnswlib, "_search", _forbidden)
    again = Indexes(ArtifactStore(store.root), source, build_threads=1)
    assert again.tuned("hnswlib", MIXTURE, target, 1) == first


def _forbidden(*_: object) -> None:
    raise AssertionError("this was there already")


def test_what_was_found_is_judged_by_true_similarities(indexes: Indexes) -> None:
    """An index of coarse codes may answer similarities of its own; recall does not believe them."""
    coarse = indexes.tuned("faiss:IVF8,PQ4x4", MIXTURE, Target.parse("recall:0.99"), 1)
    assert coarse.recall < 0.9
    assert not coarse.target_met


@pytest.mark.parametrize("text", ["recall", "recall:0", "recall:1.5", "speed:0.9", "0.99"])
def test_a_target_that_is_none_is_one_clear_line(text: str) -> None:
    with pytest.raises(UserError, match="expected recall:"):
        Target.parse(text)


def test_a_backend_for_another_width_is_refused_before_it_is_built(
    store: ArtifactStore, source: BaseSource
) -> None:
    with pytest.raises(UserError, match="PQ7"):
        Indexes(store, source, build_threads=1).built("faiss:PQ7")


def test_an_index_knows_its_knowledge_base_and_no_other(
    store: ArtifactStore, indexes: Indexes
) -> None:
    other = generated(store, "2001", 32)
    index = indexes.built("hnswlib").open(indexes.base.keys, 1)
    require_own(index, indexes.source.folder)
    with pytest.raises(UserError, match="another knowledge base"):
        require_own(index, other.folder)


def test_a_graph_that_is_built_again_is_tuned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same key, another graph: with several threads a build gives another one every time."""
    store = ArtifactStore(tmp_path)
    made = Indexes(store, generated(store, "300", 16), 1)
    target, tuned = Target.parse("recall:0.9"), []
    tune = Indexes._tune

    def spy(self: Indexes, *arguments: Any) -> dict[str, Any]:
        tuned.append(made.built("hnswlib").graph)
        return tune(self, *arguments)

    monkeypatch.setattr(Indexes, "_tune", spy)
    for _ in range(2):
        made.tuned("hnswlib", MIXTURE, target, 1)
    assert len(tuned) == 1
    monkeypatch.setattr(Built, "graph", property(lambda self: "of another build"))
    for _ in range(2):
        made.tuned("hnswlib", MIXTURE, target, 1)
    assert len(tuned) == 2
    assert tuned[0] != tuned[1]
