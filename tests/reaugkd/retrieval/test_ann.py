"""Every backend against the shared case, and what is special about each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from reaugkd.errors import MissingLibraryError, UnknownNameError, UserError
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.ann.index import MISSING
from tests.reaugkd.retrieval.cases import DIM, VARIANTS, IndexCase, K, N, queries, vectors


class TestExact(IndexCase):
    spec = "exact"

    def test_holds_the_vectors_without_a_copy(self) -> None:
        rows = vectors()
        index = Exact()
        index.build(rows)
        assert np.shares_memory(index._vectors, rows)
        assert index.nbytes == rows.nbytes

    def test_ties_are_answered_by_id(self) -> None:
        rows = np.zeros((50, DIM))
        rows[:, 0] = 1.0
        assert (self.built(rows).search(rows[:3], 7)[1] == np.arange(7)).all()

    def test_batches_are_divided_without_a_trace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = self.built(vectors()).search(queries(), K)
        monkeypatch.setattr("reaugkd.retrieval.ann.exact._CELLS", 4 * N)
        similarities, ids = self.built(vectors()).search(queries(), K)
        np.testing.assert_array_equal(ids, expected[1])
        np.testing.assert_allclose(similarities, expected[0], atol=2e-6)

    def test_similarities_of_given_entries(self) -> None:
        index = Exact()
        index.build(vectors())
        expected, ids = index.search(queries(), K)
        ids[0, -1] = MISSING
        expected[0, -1] = -np.inf
        np.testing.assert_allclose(index.similarities(queries(), ids), expected, atol=2e-6)

    def test_search_keeps_to_its_threads_and_restores_them(self) -> None:
        before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        index = self.built(vectors(), threads=2)
        with index._blas.limit(limits=index.threads):
            info = [pool["num_threads"] for pool in index._blas.info()]
        assert set(info) == {2}
        index.search(queries(), K)
        after = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        assert after == before


class TestHnswlib(IndexCase):
    spec = "hnswlib"

    def test_elements_that_cannot_be_reached_are_missing(self) -> None:
        index = ann.make("hnswlib", m=2, ef_construction=2)
        index.build(vectors())
        similarities, ids = index.search(queries(), N)
        assert (ids == MISSING).any()
        assert ((ids == MISSING) == (similarities == -np.inf)).all()
        assert (ids[:, 0] >= 0).all()
        expected = np.take_along_axis(queries() @ vectors().T, np.maximum(ids, 0), axis=1)
        found = ids >= 0
        np.testing.assert_allclose(similarities[found], expected[found], atol=2e-6)

    def test_a_full_disk_is_noticed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        index = self.built(vectors())

        class Silent:
            def save_index(self, path: str) -> None:
                Path(path).write_bytes(b"half")

            def index_file_size(self) -> int:
                return 1000

        monkeypatch.setattr(index, "_graph", Silent())
        with pytest.raises(UserError, match="only 4 of 1000 bytes"):
            index.save(tmp_path)
        assert not any(tmp_path.iterdir())


class TestFaiss(IndexCase):
    spec = "faiss"

    @pytest.mark.parametrize("factory", ["Bogus17", "LSH", "IDMap,Flat"])
    def test_a_factory_string_that_does_not_do_is_quoted(self, factory: str) -> None:
        with pytest.raises(UserError, match=f"faiss cannot (make|build) '{factory}'"):
            ann.make(f"faiss:{factory}").build(vectors())

    def test_threads_are_set_for_the_search_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import faiss

        before = faiss.omp_get_max_threads()
        index = self.built(vectors(), threads=3)
        seen = []
        real = index._index

        class Watched:
            def search(self, rows: np.ndarray, k: int) -> object:
                seen.append(faiss.omp_get_max_threads())
                return real.search(rows, k)

        monkeypatch.setattr(index, "_index", Watched())
        index._applied = index.effort
        index.search(queries(), K)
        assert seen == [3]
        assert faiss.omp_get_max_threads() == before

    def test_missing_answers_of_too_few_probes(self) -> None:
        index = ann.make("faiss:IVF16,Flat")
        index.build(vectors())
        index.effort = 1
        similarities, ids = index.search(queries(), N)
        assert (ids == MISSING).any()
        assert ((ids == MISSING) == (similarities == -np.inf)).all()


class TestFaissFlat(IndexCase):
    spec = "faiss:Flat"


class TestFaissIVF(IndexCase):
    spec = "faiss:IVF4,Flat"
    least = 4


class TestFaissTransformed(IndexCase):
    spec = "faiss:RR12,HNSW16"  # a rotation: nothing is lost

    def test_transforms_that_break_cosines_are_refused(self) -> None:
        with pytest.raises(UserError, match="faiss:PCA8,Flat subtracts the mean"):
            ann.make("faiss:PCA8,Flat").build(vectors())


class TestAnnoy(IndexCase):
    spec = "annoy"


def test_every_backend_and_variant_has_its_test_class() -> None:
    tested = {case.spec for case in IndexCase.__subclasses__()}
    assert tested >= {*ann.BACKENDS, *VARIANTS}


def test_listing_imports_neither_numpy_nor_a_library() -> None:
    code = (
        "import sys, reaugkd.retrieval.ann as ann; ann.split_specs('exact,faiss:IVF4,Flat');"
        "print({'numpy', 'faiss', 'hnswlib', 'annoy', 'torch'} & set(sys.modules))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("library", ["hnswlib", "annoy"])
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setattr("reaugkd.registry.find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError, match=rf"pip install 'reaugkd\[{library}\]'"):
        ann.make(library)
    assert ann.make("exact").name == "exact"


def test_specs() -> None:
    text = "exact, FAISS:IVF64,Flat,annoy,faiss:PCA16,IVF4,SQ8"
    assert ann.split_specs(text) == ["exact", "faiss:IVF64,Flat", "annoy", "faiss:PCA16,IVF4,SQ8"]
    assert ann.split_specs("") == []
    assert ann.canonical("faiss:") == "faiss"
    with pytest.raises(UnknownNameError, match="did you mean 'hnswlib'"):
        ann.make("hnswlb")
    with pytest.raises(UnknownNameError, match="unknown ANN backend 'Flat'"):
        ann.split_specs("exact,Flat")
    with pytest.raises(UserError, match="annoy has no variants: 'annoy:x'"):
        ann.make("annoy:x")


def test_loading_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path / "none")):
        ann.load(tmp_path / "none")
