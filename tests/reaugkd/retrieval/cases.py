"""The test case that every ANN backend passes: subclass it and name a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from reaugkd import processor
from reaugkd.errors import EmbeddingError, UserError
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import MISSING, PAYLOAD, AnnIndex
from reaugkd.retrieval.normalise import unit_rows
from reaugkd.retrieval.reindex import over

VARIANTS = (
    "faiss:Flat",
    "faiss:IVF4,Flat",
    "faiss:RR12,HNSW16",
    "faiss:SQ8",
    "faiss:SQfp16",
    "faiss:PQ",
    *(f"usearch:{scalar}" for scalar in ("f32", "bf16", "i8")),
    *(f"svs:{scheme}" for scheme in ("lvq4x8", "lvq8x8", "f32")),
    *(f"voyager:{storage}" for storage in ("e4m3", "i8")),
)
"""Kinds of faiss index with a knob of their own, and ways to store vectors; each has its class."""

COMPRESSED = ("svs", "svs:lvq8", "svs:lvq4x8", "svs:lvq8x8")
INTEL = processor.vendor() == processor.INTEL

needs_intel = pytest.mark.skipif(not INTEL, reason="svs compresses on Intel processors only")


def here(spec: str) -> object:
    """A parameter that is left out where the processor cannot run ``spec``."""
    return pytest.param(spec, marks=needs_intel) if spec in COMPRESSED else spec


N, DIM, QUERIES, K = 300, 12, 25, 10


def vectors(n: int = N, seed: int = 0) -> np.ndarray:
    """Unit rows around a few centres, as classes lie, float32."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((5, DIM))
    return unit_rows(centres[random.integers(0, 5, n)] + 0.7 * random.standard_normal((n, DIM)))


def queries() -> np.ndarray:
    return vectors(QUERIES, seed=1)


class IndexCase:
    """Laws of an index.

    Attributes:
        spec: its name.
        least: the fewest entries it can be built of.
        rounding: how far its cosines may be from the true ones: float32's rounding, or more where
            vectors are stored in fewer bits.
        recall: of the ten nearest at full effort, at least; 1 unless vectors are rounded.
    """

    spec: ClassVar[str]
    least: ClassVar[int] = 1
    rounding: ClassVar[float] = 2e-6
    recall: ClassVar[float] = 1.0

    def built(self, rows: object, **settings: object) -> AnnIndex:
        """An index over ``rows`` at full effort."""
        index = ann.make(self.spec, **settings)
        index.build(rows)
        index.effort = ([index.effort, *index.efforts(K)])[-1]
        return index

    def content(self, folder: Path) -> object:
        """What a saved index holds, to compare it with another."""
        return (folder / PAYLOAD).read_bytes()

    def test_equals_brute_force_at_full_effort(self) -> None:
        cosines = queries().astype(float) @ vectors().astype(float).T
        similarities, ids = self.built(vectors()).search(queries(), K)
        best, nearest = -np.sort(-cosines, axis=1)[:, :K], np.argsort(-cosines, axis=1)[:, :K]
        np.testing.assert_allclose(similarities, best, atol=self.rounding)
        if self.recall == 1.0:
            np.testing.assert_array_equal(ids, nearest)
        true = np.take_along_axis(cosines, ids, axis=1)
        np.testing.assert_allclose(similarities, true, atol=self.rounding)
        assert (true >= best[:, -1:]).mean() >= self.recall

    def test_answers_have_the_promised_types_and_order(self) -> None:
        similarities, ids = self.built(vectors()).search(queries(), K)
        assert similarities.dtype == np.float32
        assert ids.dtype == np.int64
        assert similarities.shape == ids.shape == (QUERIES, K)
        assert (np.diff(similarities, axis=1) <= 0).all()
        assert np.abs(similarities).max() <= 1
        assert all(len(set(row)) == K for row in ids)
        similarities, ids = self.built(vectors()).search(np.empty((0, DIM)), K)
        assert similarities.shape == ids.shape == (0, K)

    def test_an_entry_finds_itself_with_a_cosine_of_one_at_most(self) -> None:
        similarities, ids = self.built(vectors()).search(vectors(), 1)
        np.testing.assert_array_equal(ids[:, 0], np.arange(N))
        np.testing.assert_allclose(similarities, 1.0, atol=self.rounding)
        assert similarities.max() <= 1.0

    def test_k_larger_than_n_is_padded(self) -> None:
        index = self.built(vectors(6))
        similarities, ids = index.search(queries(), 9)
        assert (np.sort(ids[:, :6], axis=1) == np.arange(6)).all()
        assert (ids[:, 6:] == MISSING).all()
        assert (similarities[:, 6:] == -np.inf).all()
        assert np.isfinite(similarities[:, :6]).all()

    def test_one_entry(self) -> None:
        if self.least > 1:
            with pytest.raises(UserError, match=self.spec.partition(":")[2]):
                ann.make(self.spec).build(vectors(1))
            return
        similarities, ids = self.built(vectors(1)).search(queries(), 1)
        assert (ids == 0).all()
        np.testing.assert_allclose(similarities, queries() @ vectors(1).T, atol=self.rounding)

    def test_duplicates_are_all_found(self) -> None:
        rows = np.repeat(vectors(8), 5, axis=0)
        similarities, ids = self.built(rows).search(vectors(8), 5)
        assert (ids // 5 == np.arange(8)[:, None]).all()
        assert all(len(set(row)) == 5 for row in ids)
        np.testing.assert_allclose(similarities, 1.0, atol=self.rounding)

    def test_an_index_over_other_rows_equals_one_that_is_built_of_them(self) -> None:
        before, fresh = self.built(vectors()), ann.make(self.spec)
        fresh.build(vectors(200, seed=3))
        before.effort = fresh.effort
        other = over(before, vectors(200, seed=3))
        assert (other.params(), other.threads, other.size) == (fresh.params(), fresh.threads, 200)
        for given, wanted in zip(
            other.search(queries(), K), fresh.search(queries(), K), strict=True
        ):
            np.testing.assert_array_equal(given, wanted)
        assert before.size == N

    def test_length_dtype_and_layout_change_nothing(self) -> None:
        expected = self.built(vectors()).search(queries(), K)
        stretched = vectors().astype(np.float64) * np.linspace(0.01, 1e6, N)[:, None]
        wide = np.zeros((N, 2 * DIM), np.float32)
        wide[:, ::2] = vectors()
        for rows in (stretched, wide[:, ::2], np.asfortranarray(vectors()), vectors().tolist()):
            similarities, ids = self.built(rows).search(3.0 * queries().astype(np.float64), K)
            np.testing.assert_array_equal(ids, expected[1])
            np.testing.assert_allclose(similarities, expected[0], atol=2e-6)

    def test_input_is_left_as_it_was(self) -> None:
        rows, asked = vectors(), queries()
        rows.flags.writeable = asked.flags.writeable = False
        self.built(rows).search(asked, K)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
    def test_rows_without_direction_are_named(self, value: float) -> None:
        rows, asked = vectors(), queries()
        rows[[7, 9]] = asked[4] = value
        flaw = "is all zeros" if value == 0.0 else "holds NaN or infinity"
        with pytest.raises(EmbeddingError, match=f"vector 7 {flaw}"):
            ann.make(self.spec).build(rows)
        with pytest.raises(EmbeddingError, match=f"query 4 {flaw}"):
            self.built(vectors()).search(asked, K)

    def test_shapes_that_do_not_fit_are_refused(self) -> None:
        index = self.built(vectors())
        with pytest.raises(EmbeddingError, match=f"queries are 5 wide, the index is {DIM}"):
            index.search(np.ones((2, 5)), K)
        with pytest.raises(EmbeddingError, match="per row"):
            index.search(np.ones(DIM), K)
        with pytest.raises(EmbeddingError, match="no vectors"):
            ann.make(self.spec).build(np.empty((0, DIM)))
        with pytest.raises(ValueError, match="k must be at least 1"):
            index.search(queries(), 0)

    def test_searching_and_saving_come_after_building(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError, match="build or load it first"):
            ann.make(self.spec).search(queries(), K)
        with pytest.raises(RuntimeError, match="build or load it first"):
            ann.make(self.spec).save(tmp_path)

    def test_saved_and_loaded_it_gives_the_same_answers(self, tmp_path: Path) -> None:
        index = self.built(vectors())
        ladder = index.efforts(K)
        assert ladder == sorted(set(ladder))
        index.effort = ladder[len(ladder) // 2] if ladder else None
        expected = index.search(queries(), K)
        index.save(tmp_path / "index")
        for answering in (index, ann.load(tmp_path / "index")):
            similarities, ids = answering.search(queries(), K)
            np.testing.assert_array_equal(ids, expected[1])
            np.testing.assert_array_equal(similarities, expected[0])
        loaded = type(index).load(tmp_path / "index", threads=2)
        assert (loaded.size, loaded.dim, loaded.threads) == (N, DIM, 2)
        assert (loaded.effort, loaded.params()) == (index.effort, index.params())
        assert loaded.efforts(K) == ladder

    def test_saving_twice_leaves_a_loaded_index_intact(self, tmp_path: Path) -> None:
        index = self.built(vectors())
        index.save(tmp_path)
        loaded = ann.load(tmp_path)
        expected = loaded.search(queries(), K)
        self.built(vectors(40, seed=5)).save(tmp_path)
        np.testing.assert_array_equal(loaded.search(queries(), K)[1], expected[1])
        assert ann.load(tmp_path).size == 40
        assert sorted(p.name for p in tmp_path.iterdir()) == ["index.bin", "index.json"]

    @pytest.mark.parametrize("damage", ["truncated", "changed", "foreign", "missing", "manifest"])
    def test_damaged_files_are_named(self, tmp_path: Path, damage: str) -> None:
        self.built(vectors()).save(tmp_path)
        payload = tmp_path / PAYLOAD
        content = payload.read_bytes()
        if damage == "missing":
            payload.unlink()
        elif damage == "manifest":
            (tmp_path / "index.json").write_text('{"index": "exact"}')
        else:
            new = {
                "truncated": content[:-100],
                "changed": content[:-1] + bytes([content[-1] ^ 1]),
                "foreign": b"something else",
            }
            payload.write_bytes(new[damage])
        with pytest.raises(UserError, match=str(tmp_path)):
            ann.load(tmp_path)

    def test_the_same_seed_builds_the_same_index(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            self.built(vectors(), seed=7).save(tmp_path / name)
        assert self.content(tmp_path / "a") == self.content(tmp_path / "b")

    def test_threads_change_no_answer(self) -> None:
        expected = self.built(vectors(), threads=1).search(queries(), K)
        similarities, ids = self.built(vectors(), threads=2).search(queries(), K)
        np.testing.assert_array_equal(ids, expected[1])
        np.testing.assert_allclose(similarities, expected[0], atol=2e-6)
        with pytest.raises(ValueError, match="threads must be at least 1"):
            ann.make(self.spec, threads=0)

    def test_params_are_json_and_make_the_same_index(self) -> None:
        index = self.built(vectors(), seed=3)
        params = json.loads(json.dumps(index.params()))
        assert params["seed"] == 3
        again = type(index)(**params)
        assert again.params() == params

    def test_nbytes_agrees_with_the_file(self, tmp_path: Path) -> None:
        index = self.built(vectors(2000))
        index.save(tmp_path)
        written = (tmp_path / PAYLOAD).stat().st_size
        # hnswlib holds 88 bytes an element that it does not write.
        assert 0.9 * written <= index.nbytes <= 1.1 * written + 88 * 2000
