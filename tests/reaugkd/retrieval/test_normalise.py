"""Unit rows: exact where they fit, one copy where they do not, an error where none exist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reaugkd.errors import EmbeddingError
from reaugkd.retrieval.normalise import unit_rows

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=FINITE))
def test_every_finite_row_but_zero_has_a_direction(rows: np.ndarray) -> None:
    if not rows.any(axis=1).all():
        with pytest.raises(EmbeddingError, match="is all zeros"):
            unit_rows(rows)
        return
    unit = unit_rows(rows)
    np.testing.assert_allclose((unit.astype(float) ** 2).sum(axis=1), 1.0, atol=1e-6)
    assert unit_rows(unit) is unit


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, ">f4"])
def test_any_real_dtype(dtype: object) -> None:
    np.testing.assert_allclose(
        unit_rows(np.array([[3, 4], [0, 2]], dtype)), [[0.6, 0.8], [0, 1]], atol=1e-7
    )


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((1, 2), complex), np.array([["a"]]), [[None]]])
def test_what_is_no_matrix_of_reals_is_refused(bad: object) -> None:
    with pytest.raises(EmbeddingError, match="expected one real vector per row"):
        unit_rows(bad)


def test_the_first_bad_row_is_named_beyond_the_first_block() -> None:
    rows = np.ones((20_000, 2))
    rows[17_000] = np.inf
    rows[18_000] = 0.0
    with pytest.raises(EmbeddingError, match="key 17000 holds NaN or infinity"):
        unit_rows(rows, "key")
