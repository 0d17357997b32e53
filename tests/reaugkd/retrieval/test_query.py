"""The query path: one query by numbers, a batch by arrays, and both the mixture of mixing.py."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reaugkd.errors import EmbeddingError, ModelError, UserError
from reaugkd.retrieval import ann, skip
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.ann.index import MISSING, AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import augment, probabilities
from reaugkd.retrieval.normalise import unit_queries, unit_rows
from reaugkd.retrieval.query import QueryPath
from tests.reaugkd.retrieval.cases import DIM, N, vectors

BACKENDS = ("exact", "hnswlib", "faiss", "faiss:IVF4,Flat", "annoy")
ROUNDING = 2e-6


def index_of(spec: str, rows: np.ndarray | None = None, **settings: object) -> AnnIndex:
    index = ann.make(spec, **settings)
    index.build(vectors() if rows is None else rows)
    return index


INDEXES = {spec: index_of(spec) for spec in BACKENDS}


def values_of(outputs: int, n: int = N) -> np.ndarray:
    random = np.random.default_rng(outputs)
    if outputs == 1:
        return random.uniform(0, 5, (n, 1)).astype(np.float32)
    return random.dirichlet(np.ones(outputs), n).astype(np.float32)


def inputs(batch: int, outputs: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    logits = 3 * random.standard_normal((batch, outputs))
    embeddings = 17.0 * vectors(batch, seed=seed + 1)
    return torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(embeddings)


def by_parts(path: QueryPath, logits: torch.Tensor, embedding: torch.Tensor) -> np.ndarray:
    """What mixing.py makes of the answers of the index."""
    found = path.index.search(embedding.float().numpy(), path.k)
    student = probabilities(logits.float().numpy())
    return augment(student, *found, path._values, path.tau, path.beta, path._counts)


@settings(max_examples=150)
@given(
    spec=st.sampled_from(BACKENDS),
    outputs=st.sampled_from([1, 2, 3, 40]),
    batch=st.sampled_from([1, 1, 4, 33]),
    k=st.sampled_from([1, 2, 10, N, N + 5]),
    tau=st.sampled_from([1e-3, 0.1, 1.0, 100.0]),
    beta=st.sampled_from([0.0, 0.3, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    seed=st.integers(0, 50),
)
def test_it_is_the_mixture_of_what_the_index_answers(
    spec: str,
    outputs: int,
    batch: int,
    k: int,
    tau: float,
    beta: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    path = QueryPath(INDEXES[spec], values_of(outputs), k=k, tau=tau, beta=beta)
    logits, embedding = (tensor.to(dtype) for tensor in inputs(batch, outputs, seed))
    mixed = path(logits, embedding)
    assert mixed.dtype is torch.float32
    assert mixed.shape == (batch, outputs)
    # Float32 knows a cosine to 1e-7, and a weight's exponent to that by tau.
    tolerance = max(ROUNDING * 5, 1e-6 / tau)
    expected = by_parts(path, logits, embedding)
    np.testing.assert_allclose(mixed.numpy(), expected, atol=tolerance, rtol=tolerance)
    answer = path.answer(logits.float().numpy(), embedding.float().numpy())
    np.testing.assert_allclose(answer.mixed, expected, atol=tolerance, rtol=tolerance)
    assert beta == 0.0 or ((answer.rows == MISSING).sum(axis=1) >= k - N).all()
    np.testing.assert_array_equal(answer.student, probabilities(logits.float().numpy()))


@settings(max_examples=100)
@given(
    spec=st.sampled_from(["exact", "hnswlib", "usearch"]),
    outputs=st.sampled_from([1, 2, 3, 40, 77]),
    k=st.sampled_from([1, 4, 10, 120]),
    dims=st.sampled_from([None, 3, 7, DIM]),
    weigh=st.booleans(),
    quantised=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    seed=st.integers(0, 50),
)
def test_a_small_base_is_answered_alike_alone_in_a_batch_and_by_its_parts(
    spec: str,
    outputs: int,
    k: int,
    dims: int | None,
    weigh: bool,
    quantised: bool,
    dtype: torch.dtype,
    seed: int,
) -> None:
    """Counts, fewer dimensions and 8 bits, in every combination."""
    counts = np.random.default_rng(seed).integers(1, 50, N)
    base = KnowledgeBase.build(vectors(), values_of(outputs), np.arange(N), counts=counts)
    base = base if dims is None else base.compressed(dims)
    base = base.quantised() if quantised else base
    path = QueryPath.over(base, index_of(spec, base.keys), k=k, tau=0.1, beta=0.4, weigh=weigh)
    logits, embeddings = (tensor.to(dtype) for tensor in inputs(6, outputs, seed))
    answer = path.answer(logits.double().numpy(), embeddings.double().numpy())
    neighbours = path.index.search(base.queries(embeddings.double().numpy()), k)
    student = probabilities(logits.double().numpy()).astype(np.float32)
    expected = augment(
        student, *neighbours, base.values, 0.1, 0.4, base.counts if weigh else None, base.span
    )
    np.testing.assert_allclose(answer.mixed, expected, atol=2e-5, rtol=2e-5)
    np.testing.assert_array_equal(answer.rows, neighbours[1])
    together = path(logits, embeddings)
    np.testing.assert_allclose(together, answer.mixed, atol=2e-5, rtol=2e-5)
    for number in range(6):
        single = path(logits[number : number + 1], embeddings[number : number + 1])
        np.testing.assert_allclose(single[0], together[number], atol=2e-5, rtol=2e-5)


def certain(batch: int, outputs: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of which every other one leaves no doubt, and embeddings."""
    logits, embeddings = inputs(batch, outputs)
    logits[::2] *= 0.1
    logits[::2, 1] += 9.0
    return logits, embeddings


@pytest.mark.parametrize("outputs", [2, 3, 77])
@pytest.mark.parametrize("spec", ["exact", "hnswlib"])
def test_sure_students_are_not_asked_and_one_search_answers_the_others(
    spec: str, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_ = {"k": 4, "tau": 0.1, "beta": 0.4}
    index, values = index_of(spec), values_of(outputs)
    asks, skips = (
        QueryPath(index, values, **settings_, skip_above=above) for above in (np.inf, 0.97)
    )
    logits, embeddings = certain(9, outputs)
    always = asks.answer(logits.numpy(), embeddings.numpy())
    seen: list[int] = []
    search = index.search

    def watched(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        seen.append(len(queries))
        return search(queries, k)

    monkeypatch.setattr(index, "search", watched)
    answer = skips.answer(logits.numpy(), embeddings.numpy())
    np.testing.assert_array_equal(answer.asked, np.arange(9) % 2 == 1)
    assert seen == [4]
    assert always.asked.all()
    for field in ("mixed", "similarities", "rows"):
        np.testing.assert_array_equal(
            getattr(answer, field)[answer.asked], getattr(always, field)[answer.asked]
        )
    assert answer.mixed[::2].tobytes() == answer.student[::2].tobytes()
    assert (answer.rows[::2] == MISSING).all()
    assert (answer.similarities[::2] == -np.inf).all()
    monkeypatch.setattr(index, "nearest", None)  # sure ones return before it is called
    for number in range(9):
        one = logits[number : number + 1], embeddings[number : number + 1]
        if answer.asked[number]:
            with pytest.raises(TypeError):
                skips(*one)
        else:
            np.testing.assert_allclose(skips(*one)[0], answer.mixed[number], atol=2e-7)
    nobody = QueryPath(index, values, **settings_, skip_above=0.0)
    assert not nobody.answer(logits.numpy(), embeddings.numpy()).asked.any()


def test_a_threshold_that_nobody_passes_is_always_asking_bit_for_bit() -> None:
    settings_ = {"k": 4, "tau": 0.1, "beta": 0.4}
    paths = [
        QueryPath(INDEXES["exact"], values_of(3), **settings_, skip_above=above)
        for above in (np.inf, 1.0)
    ]
    for batch in (1, 7):
        logits, embeddings = certain(batch)
        assert torch.equal(*(path(logits, embeddings) for path in paths))


def test_at_the_threshold_one_query_is_decided_as_in_a_batch() -> None:
    """Where rounding decides, a single query goes the way of the batch."""
    random = np.random.default_rng(0)
    logits = torch.from_numpy(random.normal(size=(200, 3)).astype(np.float32))
    _, embeddings = inputs(200, 3)
    margins = skip.margins(probabilities(logits.numpy()))
    for number in range(200):
        for above in (margins[number], np.nextafter(margins[number], 0)):
            path = QueryPath(
                INDEXES["exact"], values_of(3), k=2, tau=0.1, beta=0.4, skip_above=above
            )
            together = path.answer(logits[number:].numpy(), embeddings[number:].numpy())
            single = path(logits[number : number + 1], embeddings[number : number + 1])
            np.testing.assert_allclose(single[0], together.mixed[0], atol=2e-6)


def test_of_those_that_are_asked_a_bad_embedding_is_named_by_its_place() -> None:
    path = QueryPath(INDEXES["exact"], values_of(3), k=2, tau=0.1, beta=0.4, skip_above=0.97)
    logits, embeddings = certain(6)
    embeddings[2] = np.nan  # a sure student's: nobody looks at it
    expected = path(logits, embeddings)
    assert expected.isfinite().all()
    embeddings[5] = 0.0
    with pytest.raises(EmbeddingError, match="query 5 is all zeros"):
        path(logits, embeddings)
    logits[0, 0] = np.nan
    answer = path.answer(logits[:5].numpy(), embeddings[:5].numpy())
    assert answer.asked[0]
    assert np.isnan(answer.mixed[0]).all()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("batch", [1, 4])
def test_beta_0_is_the_student_bit_for_bit_and_searches_nothing(batch: int, outputs: int) -> None:
    index = index_of("exact")
    path = QueryPath(index, values_of(outputs), k=3, tau=0.1, beta=0.0)
    index.search = index.nearest = None  # type: ignore[assignment, method-assign]
    logits, embedding = inputs(batch, outputs)
    mixed = path(logits, embedding)
    assert mixed.numpy().tobytes() == probabilities(logits.numpy()).tobytes()
    assert mixed.data_ptr() != logits.data_ptr()
    answer = path.answer(logits.numpy(), embedding.numpy())
    assert (answer.rows == MISSING).all()
    assert (answer.similarities == -np.inf).all()
    assert answer.mixed.tobytes() == answer.student.tobytes() == mixed.numpy().tobytes()
    assert not np.shares_memory(answer.mixed, answer.student)
    assert not answer.asked.any()


@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize("make", ["hnswlib", "faiss:IVF16,Flat"])
def test_entries_that_are_not_reached_have_no_weight(make: str, batch: int) -> None:
    sparse = {"m": 2, "ef_construction": 2} if make == "hnswlib" else {}
    index = index_of(make, **sparse)
    index.effort = 1
    path = QueryPath(index, values_of(2), k=50, tau=0.5, beta=1.0)
    logits, embedding = inputs(batch, 2)
    if make != "hnswlib":
        assert (index.search(embedding.numpy(), 50)[1] == MISSING).any()
    np.testing.assert_allclose(
        path(logits, embedding), by_parts(path, logits, embedding), atol=1e-5
    )


class Nobody(Exact):
    """An index whose library finds nothing at all."""

    nearest = AnnIndex.nearest

    def _search(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(rows), k), np.float32), np.full((len(rows), k), MISSING)


def test_without_any_neighbour_the_student_stands() -> None:
    index = Nobody()
    index.build(vectors())
    for batch in (1, 3):
        logits, embedding = inputs(batch, 2)
        mixed = QueryPath(index, values_of(2), k=3, tau=0.1, beta=1.0)(logits, embedding)
        np.testing.assert_allclose(mixed, torch.softmax(logits, 1), atol=1e-6)


@settings(max_examples=60)
@given(
    exponent=st.integers(-37, 36),
    factor=st.floats(1, 9),
    batch=st.sampled_from([1, 4]),
    double=st.booleans(),
    spec=st.sampled_from(BACKENDS),
    first=st.sampled_from([0.0, 1.0]),
)
def test_the_length_of_the_embedding_changes_nothing(
    exponent: int, factor: float, batch: int, double: bool, spec: str, first: float
) -> None:
    """Some libraries divide by the norm themselves, in float32: they are not asked to too much."""
    path = QueryPath(INDEXES[spec], values_of(3), k=10, tau=0.1, beta=0.5)
    logits, embedding = inputs(batch, 3)
    embedding[:, 0] *= first
    expected = path(logits, embedding)
    unit = embedding.double() / 17.0
    scaled = unit * (factor * 10.0 ** (exponent * (8 if double else 1)))
    scaled = scaled if double else scaled.float()
    np.testing.assert_allclose(path(logits, scaled), expected, atol=1e-4)


@pytest.mark.parametrize("spec", BACKENDS)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "holds NaN"), (np.inf, "holds NaN or infinity"), (0.0, "is all zeros")],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_an_embedding_without_direction_is_named(
    spec: str, batch: int, value: float, message: str, dtype: torch.dtype
) -> None:
    path = QueryPath(INDEXES[spec], values_of(3), k=4, tau=0.1, beta=0.5)
    logits, embedding = inputs(batch, 3)
    embedding[batch - 1, slice(None) if value == 0.0 else 2] = value
    with pytest.raises(EmbeddingError, match=f"query {batch - 1} {message}"):
        path(logits, embedding.to(dtype))


@pytest.mark.parametrize("spec", BACKENDS)
@pytest.mark.parametrize("batch", [1, 4])
def test_inputs_and_knowledge_base_are_never_written_to(spec: str, batch: int) -> None:
    values, keys = values_of(3), vectors()
    values.flags.writeable = keys.flags.writeable = False
    path = QueryPath(index_of(spec, keys), values, k=5, tau=0.1, beta=0.5)
    given_ = inputs(batch, 3)
    kept = [tensor.clone() for tensor in given_]
    path(*given_)
    path.answer(*(tensor.numpy() for tensor in given_))
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(given_, kept, strict=True))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_result_is_the_callers(batch: int) -> None:
    path = QueryPath(INDEXES["hnswlib"], values_of(3), k=5, tau=0.1, beta=0.5)
    first = inputs(batch, 3, seed=0)
    mixed = path(*first)
    copy = mixed.clone()
    path(*inputs(batch, 3, seed=1))
    assert torch.equal(mixed, copy)
    mixed.zero_()
    assert torch.equal(path(*first), copy)


def test_one_path_per_thread_over_one_index() -> None:
    asked = [inputs(1, 3, seed) for seed in range(40)]
    paths = [QueryPath(INDEXES["exact"], values_of(3), k=5, tau=0.1, beta=0.5) for _ in range(3)]
    results: list[list[torch.Tensor]] = [[], [], []]

    def serve(number: int) -> None:
        results[number] = [paths[number](*each) for each in asked]

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("batch", [1, 4])
def test_layout_gradients_and_inference_mode_change_nothing(batch: int) -> None:
    logits, embedding = inputs(batch, 3)
    with torch.inference_mode():
        path = QueryPath(INDEXES["exact"], values_of(3), k=5, tau=0.1, beta=0.5)
        expected = path(logits, embedding).numpy()
    hidden = torch.randn(batch, 6, DIM)
    hidden[:, 0] = embedding
    wide = torch.stack([logits, -logits], dim=2)[..., 0]
    every_second = torch.stack([embedding, -embedding], dim=2)[..., 0]
    parameter = embedding.clone().requires_grad_()
    for scores, asked in (
        (wide, hidden[:, 0]),
        (logits, every_second),
        (logits.clone().requires_grad_(), parameter),
    ):
        result = path(scores, asked)
        np.testing.assert_allclose(result.detach(), expected, atol=1e-6)
        assert not result.requires_grad


def test_equal_entries_are_answered_by_the_lowest_ids_wherever_they_lie() -> None:
    """In sizes that leave every kind of rest to the blocks of a matrix product."""
    random = np.random.default_rng(0)
    for size, width in ((50, 100), (635, 12), (1023, 771)):
        rows = random.standard_normal((size, width)).astype(np.float32)
        rows[size // 3 :] = rows[0]
        asked = unit_rows(np.concatenate([rows[:1], rows[:1] + rows[1:2], -rows[1:2]]))
        for threads in (1, 2):
            index = index_of("exact", rows, threads=threads)
            expected = np.r_[0, size // 3 : size // 3 + 6]
            for batch in (asked[:1], asked[:2], np.repeat(asked[:1], 33, axis=0)):
                similarities, ids = index.search(batch, 7)
                np.testing.assert_array_equal(ids[0], expected)
                assert (similarities[0] == similarities[0, 0]).all()
            alone = [index.search(query[None], 30) for query in asked]
            together = index.search(asked, 30)
            for number, (similarities, ids) in enumerate(alone):
                np.testing.assert_array_equal(ids[0], together[1][number])
                np.testing.assert_array_equal(similarities[0], together[0][number])


def test_what_does_not_fit_is_refused() -> None:
    index, values = INDEXES["exact"], values_of(3)
    for change, error, message in (
        ({"values": values[:5]}, ModelError, r"\(5, 3\) do not fit an index of 300"),
        ({"values": values[:, 0]}, ModelError, r"\(300,\) do not fit"),
        ({"k": 0}, UserError, "k must be at least 1, got 0"),
        ({"tau": 0.0}, UserError, "tau must be above 0 and finite, got 0.0"),
        ({"tau": np.nan}, UserError, "tau must be"),
        ({"beta": 1.5}, UserError, r"beta must be in \[0, 1\], got 1.5"),
        ({"counts": np.ones(5, int)}, ModelError, r"counts of shape \(5,\) do not fit 300"),
        ({"basis": np.ones((9, 5))}, ModelError, r"a basis of shape \(9, 5\) does not fit"),
        ({"skip_above": -0.1}, UserError, "skip_above must be a margin from 0 on, or inf"),
        ({"skip_above": np.nan}, UserError, "skip_above must be a margin"),
        ({"skip_above": 0.5, "values": values[:, :1]}, UserError, "a regression cannot skip"),
    ):
        fields = {"values": values, "k": 3, "tau": 0.1, "beta": 0.5, **change}
        with pytest.raises(error, match=message):
            QueryPath(index, **fields)
    for beta in (0.0, 0.5):
        path = QueryPath(index, values, k=3, tau=0.1, beta=beta)
        for batch, wrong in ((1, torch.zeros(1, 2)), (4, torch.zeros(4, 1)), (1, torch.zeros(3))):
            with pytest.raises(ModelError, match="logits of shape"):
                path(wrong, inputs(batch, 3)[1])
    with pytest.raises(ModelError, match="do not fit 4 embeddings"):
        path(inputs(3, 3)[0], inputs(4, 3)[1])
    with pytest.raises(EmbeddingError, match="queries are 5 wide, the index is 12"):
        path(torch.zeros(1, 3), torch.ones(1, 5))
    assert path(torch.zeros(0, 3), torch.ones(0, DIM)).shape == (0, 3)


@pytest.mark.parametrize("batch", [1, 4])
def test_neighbours_of_a_query_that_is_an_entry(batch: int) -> None:
    """A cosine that rounds above 1 weighs like 1."""
    rows = vectors()
    for spec in BACKENDS:
        path = QueryPath(INDEXES[spec], values_of(3), k=2, tau=0.05, beta=1.0)
        for start in range(0, 40, batch):
            logits, _ = inputs(batch, 3)
            asked = torch.from_numpy(rows[start : start + batch])
            np.testing.assert_allclose(
                path(logits, asked), by_parts(path, logits, asked), atol=3e-5
            )


@pytest.mark.parametrize("logits", [[[np.nan, 1.0, 900.0]], [[900.0, 1.0, np.nan]]])
def test_logits_that_are_not_finite_stay_visible(logits: list[list[float]]) -> None:
    path = QueryPath(INDEXES["exact"], values_of(3), k=2, tau=0.1, beta=0.5)
    assert path(torch.tensor(logits), inputs(1, 3)[1]).isnan().all()


def test_unit_length_float32_queries_are_normalised_as_carefully_as_rounding_allows() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((9, 768)).astype(np.float32) * 13
    for asked in (rows, rows[:1], np.asfortranarray(rows), rows[:, ::2], rows[::3], rows[:1, ::2]):
        np.testing.assert_allclose(unit_queries(asked), unit_rows(asked), atol=1e-7)
        assert unit_queries(asked).flags.c_contiguous
    unit = unit_rows(rows)
    assert unit_queries(unit) is unit
