"""Every backend against the shared case, and what is special about each."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from reaugkd.errors import MissingLibraryError, UnknownNameError, UserError
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.ann.index import MISSING, PAYLOAD
from reaugkd.retrieval.normalise import unit_rows
from tests.reaugkd.retrieval.cases import (
    COMPRESSED,
    DIM,
    QUERIES,
    VARIANTS,
    IndexCase,
    K,
    N,
    here,
    needs_intel,
    queries,
    vectors,
)


class TestExact(IndexCase):
    spec = "exact"

    @pytest.mark.parametrize("k", [1, 3, 7, 49])
    def test_one_query_chooses_among_equals_as_a_batch_does(self, k: int) -> None:
        """Which of equal entries come first is no matter of how they are found."""
        rows = vectors(10).repeat(5, axis=0)[np.random.default_rng(0).permutation(50)]
        index = self.built(rows)
        for query in unit_rows(queries(), "query"):
            _, expected = index.search(np.stack([query, query]), k)
            _, ids = index.nearest(query[None], k)
            assert set(ids) == set(expected[0].tolist())

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

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_stays_exact_inside_the_callers_autocast(self, dtype: torch.dtype) -> None:
        index = self.built(vectors())
        expected = index.search(queries(), K)
        with torch.autocast("cpu", dtype=dtype):
            found = index.search(queries(), K)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])

    def test_stays_exact_whatever_precision_the_caller_allows(self) -> None:
        index = self.built(vectors())
        expected = index.search(queries(), K)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            found = index.search(queries(), K)
            assert torch.get_float32_matmul_precision() == "medium"
        finally:
            torch.set_float32_matmul_precision(before)
        np.testing.assert_array_equal(found[1], expected[1])

    def test_similarities_of_given_entries(self) -> None:
        index = Exact()
        index.build(vectors())
        expected, ids = index.search(queries(), K)
        ids[0, -1] = MISSING
        expected[0, -1] = -np.inf
        np.testing.assert_allclose(index.similarities(queries(), ids), expected, atol=2e-6)

    @pytest.mark.parametrize(("asked", "expected"), [(1, 1), (QUERIES, 2)])
    def test_search_keeps_to_its_threads_and_restores_them(
        self, monkeypatch: pytest.MonkeyPatch, asked: int, expected: int
    ) -> None:
        """One thread for one query, whose product is numpy's; its own for a batch, torch's."""
        index = self.built(vectors(), threads=2)
        pool = index._blas[0]
        seen = []

        class Watched:
            T = property(lambda self: self)

            def dot(self, query: np.ndarray) -> np.ndarray:
                seen.append(pool.num_threads)
                return vectors() @ query

            def __rmatmul__(self, rows: torch.Tensor) -> torch.Tensor:
                seen.append(torch.get_num_threads())
                return rows @ torch.from_numpy(vectors()).T

            def take(self, ids: np.ndarray, axis: int) -> np.ndarray:
                return vectors().take(ids, axis=axis)

        before = pool.num_threads, torch.get_num_threads()
        pool.set_num_threads(2)
        torch.set_num_threads(1)
        try:
            expected_ids = index.search(queries()[:asked], K)[1]
            monkeypatch.setattr(index, "_vectors", Watched())
            monkeypatch.setattr(index, "_tensor", Watched())
            np.testing.assert_array_equal(index.search(queries()[:asked], K)[1], expected_ids)
            assert seen == [expected]
            assert (pool.num_threads, torch.get_num_threads()) == (2, 1)
        finally:
            pool.set_num_threads(before[0])
            torch.set_num_threads(before[1])


class TestHnswlib(IndexCase):
    spec = "hnswlib"

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


class TestFaissTransformed(IndexCase):
    spec = "faiss:RR12,HNSW16"  # a rotation: nothing is lost

    def test_transforms_that_break_cosines_are_refused(self) -> None:
        with pytest.raises(UserError, match="faiss:PCA8,Flat subtracts the mean"):
            ann.make("faiss:PCA8,Flat").build(vectors())


class SvsCase(IndexCase):
    """svs marks each of its files with an identifier, drawn anew whenever it writes them."""

    def content(self, folder: Path) -> dict[str, bytes]:
        found = {}
        with tarfile.open(folder / PAYLOAD) as packed:
            for entry in packed:
                file = packed.extractfile(entry)
                assert file is not None
                content = file.read()
                if entry.name.endswith(".toml"):
                    found[entry.name] = re.sub(rb"uuid = '[-0-9a-f]+'", b"", content)
                else:
                    found[entry.name] = content[:8] + content[24:]
        assert len(found) >= 5
        return found

    @pytest.mark.parametrize("name", ["../outside", "graph/../../outside", "/outside", "more/file"])
    def test_a_file_that_belongs_to_no_index_is_not_written(
        self, name: str, tmp_path: Path
    ) -> None:
        index = ann.make(self.spec)
        index.build(vectors())
        with tarfile.open(tmp_path / "packed", "w") as packed:
            packed.addfile(tarfile.TarInfo(name))
        with pytest.raises(ValueError, match="is no file of an index"):
            index._load(tmp_path / "packed")
        assert not list(tmp_path.parent.rglob("outside"))

    def test_one_entry(self) -> None:
        self.rounding = max(self.rounding, 5e-3)  # nothing is left of it but the mean
        super().test_one_entry()


@needs_intel
class TestSvs(SvsCase):
    spec = "svs"
    rounding, recall = 1e-2, 0.97

    def test_what_is_out_of_reach_is_missing(self) -> None:
        """A crowd of equal vectors at the entrance, more than an element has links."""
        index = self.built(np.concatenate([np.repeat(vectors(1), 400, axis=0), vectors()]))
        similarities, ids = index.search(queries(), index.size)
        assert (ids == MISSING).any()
        assert ((ids == MISSING) == (similarities == -np.inf)).all()
        assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in ids)
        for query in unit_rows(queries())[:5]:  # padding is no entry 0 for one query either
            _, found = index.nearest(query[None], index.size)
            there = [row for row in found if row >= 0]
            assert len(set(there)) == len(there) < index.size

    def test_saving_leaves_no_folder_behind(self, tmp_path: Path) -> None:
        self.built(vectors()).save(tmp_path / "index")
        assert sorted(p.name for p in tmp_path.rglob("*")) == ["index", "index.bin", "index.json"]


OTHERS: dict[str, dict[str, float]] = {
    "faiss:Flat": {},
    "faiss:IVF4,Flat": {"least": 4},
    "faiss:SQ8": {"rounding": 1e-2, "recall": 0.97},
    "faiss:SQfp16": {"rounding": 1e-3, "recall": 0.99},
    "faiss:PQ": {"rounding": 1e-3, "recall": 0.99},  # of too few vectors: see its own test below
    "annoy": {},
    "usearch": {"rounding": 1e-3, "recall": 0.99},
    "usearch:f32": {},
    "usearch:bf16": {"rounding": 1e-2, "recall": 0.97},
    "usearch:i8": {"rounding": 1e-2, "recall": 0.97},
    "svs:lvq4x8": {"rounding": 1e-3, "recall": 0.99},
    "svs:lvq8x8": {"rounding": 1e-4},
    "svs:f32": {},
    "voyager": {},
    "voyager:e4m3": {"rounding": 5e-2, "recall": 0.85},
    "voyager:i8": {"rounding": 2e-2, "recall": 0.97},
    "auto": {},  # exact for the small ones, hnswlib for the others: see tests/calibrations.py
}
"""Backends and variants with nothing special about them: what may be lost of the cosines."""

for _spec, _attributes in OTHERS.items():
    _base = SvsCase if _spec.startswith("svs") else IndexCase
    _case = type(f"Test_{_spec}", (_base,), {"spec": _spec, **_attributes})
    globals()[_case.__name__] = needs_intel(_case) if _spec in COMPRESSED else _case


def test_every_backend_and_variant_has_its_test_class() -> None:
    special = {TestExact, TestHnswlib, TestFaiss, TestFaissTransformed, TestSvs}
    assert {case.spec for case in special} | set(OTHERS) >= {*ann.BACKENDS, *VARIANTS}


def test_product_quantisation_finds_and_refines(tmp_path: Path) -> None:
    rows = vectors(3000)
    cosines = queries() @ rows.T
    index = ann.make("faiss:PQ")
    index.build(rows)
    assert index.efforts(K)[-1] == 64  # lists
    recalls = []
    for effort in (1, 64):
        index.effort = effort
        similarities, ids = index.search(queries(), K)
        found = np.take_along_axis(cosines, ids, axis=1)
        np.testing.assert_allclose(similarities, found, atol=1e-3)
        recalls.append((found >= -np.sort(-cosines, axis=1)[:, K - 1 : K]).mean())
    assert recalls[0] < 0.9 < 0.97 < recalls[1]
    index.save(tmp_path)
    np.testing.assert_array_equal(ann.load(tmp_path).search(queries(), K)[1], ids)
    again = ann.make("faiss:PQ")
    again.build(rows)
    again.effort = index.effort
    again.search(queries(), K)  # faiss keeps the number of probes in the file
    again.save(tmp_path / "again")
    payloads = [(folder / PAYLOAD).read_bytes() for folder in (tmp_path, tmp_path / "again")]
    assert payloads[0] == payloads[1]


def test_faiss_aliases_and_factory_strings() -> None:
    assert ann.make("faiss:sq8").params()["factory"] == "HNSW16,SQ8"
    assert ann.make("faiss:SQfp16").params()["factory"] == "HNSW16,SQfp16"
    assert ann.make("faiss:IVF4,SQ8").params()["factory"] == "IVF4,SQ8"
    with pytest.raises(UserError, match="faiss:HNSW16,PQ4 compares by Euclidean distance only"):
        ann.make("faiss:HNSW16,PQ4").check(DIM)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("usearch:i9", "unknown number type of usearch 'i9': did you mean 'i8'"),
        pytest.param(
            "svs:lvq9", "unknown scheme of svs 'lvq9': did you mean 'lvq8'", marks=needs_intel
        ),
        ("voyager:e4m4", "unknown number type of voyager 'e4m4': did you mean 'e4m3'"),
    ],
)
def test_a_variant_that_does_not_exist_has_a_nearest_one(spec: str, told: str) -> None:
    with pytest.raises(UnknownNameError, match=told):
        ann.make(spec)
    nearest = told.rpartition("'")[0].rpartition("'")[2]
    assert nearest in ann.make(spec.partition(":")[0] + f":{nearest.upper()}").params().values()


@pytest.mark.parametrize("spec", ["hnswlib", "usearch", "voyager"])
def test_elements_out_of_reach_are_missing(spec: str) -> None:
    index = ann.make(spec, m=2, ef_construction=2)
    index.build(vectors())
    for asked in (queries(), queries()[:1]):
        similarities, ids = index.search(asked, N)
        expected = np.take_along_axis(asked @ vectors().T, np.maximum(ids, 0), axis=1)
        there = ids != MISSING
        assert not there.all()
        assert (there == (similarities > -np.inf)).all()
        assert (ids[:, 0] >= 0).all()
        np.testing.assert_allclose(similarities[there], expected[there], atol=1e-3)


@pytest.mark.parametrize(
    "spec", ["usearch:i8", here("svs"), "voyager:i8", "voyager:e4m3", "faiss:SQ8"]
)
def test_few_bits_are_enough_where_one_component_stands_out(spec: str) -> None:
    """768 components of 1 / 28 or less, and queries beyond the range of the vectors'."""
    random = np.random.default_rng(0)
    rows, asked = random.standard_normal((400, 768)), random.standard_normal((20, 768))
    asked[:, 5] += 8.0
    rows[:, 7] += 3.0
    index = ann.make(spec)
    index.build(rows)
    index.effort = index.efforts(K)[-1]
    similarities, ids = index.search(asked, K)
    true = (asked / np.linalg.norm(asked, axis=1, keepdims=True)) @ (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ).T
    np.testing.assert_allclose(similarities, np.take_along_axis(true, ids, axis=1), atol=1.2e-2)


def test_usearch_and_faiss_live_in_one_process() -> None:
    """Whichever is imported first."""
    code = (
        "import numpy as np; from reaugkd.retrieval import ann;"
        "[ann.make(spec).build(np.eye(40)) for spec in ('usearch', 'faiss:SQ8')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("library", ["hnswlib", "annoy", "usearch", "svs", "voyager"])
def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setattr("reaugkd.registry.find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError, match=rf"pip install 'reaugkd\[{library}\]'"):
        ann.make(library)
    assert ann.make("exact").name == "exact"


def test_another_kind_of_machine_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(UserError, match=r"svs runs on x86_64 or AMD64 only, .* is aarch64"):
        ann.make("svs")


@pytest.mark.parametrize("spec", COMPRESSED)
def test_a_library_that_would_end_the_process_is_not_asked(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reaugkd.processor.vendor", lambda: "AuthenticAMD")
    with pytest.raises(UserError, match="on Intel processors only, this one is AuthenticAMD"):
        ann.make(spec)
    assert ann.make("svs:f32").name == "svs"


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
