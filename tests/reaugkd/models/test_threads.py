from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.models import threads


@pytest.fixture
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("widths", "tokens", "expected"),
    [([64, 32], 400, 1), ([64, 768], 400, 2), ([64], 10_000, 2), ([128], 384, 2)],
)
def test_one_thread_while_every_encoder_is_small(
    widths: list[int], tokens: float, expected: int
) -> None:
    with threads.fitting(widths, tokens):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_come_back_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), threads.fitting([64], 10):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


@given(st.integers(1, 4096), st.integers(1, 10**6))
def test_what_is_small_stays_small_when_it_shrinks(width: int, tokens: int) -> None:
    if threads.is_small(width, tokens):
        assert threads.is_small(max(1, width // 2), tokens)
        assert threads.is_small(width, tokens / 2)


@pytest.mark.parametrize("name", threads.WAITING)
def test_a_user_who_says_how_threads_wait_is_heard(name: str) -> None:
    environment = {name: "7"}
    threads.share(environment)
    assert environment == {name: "7"}
