"""What is left of a run takes as long as what was done of it, in proportion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.progress.eta import SHARED, Left, Pace, Work

KD = Work("training", "kd", "mrpc", 100.0)
seconds = st.floats(0.01, 1e5)


def test_nothing_left_takes_no_time_and_nothing_known_is_no_estimate() -> None:
    assert Pace([]).left() == Left(0.0, True)
    assert Pace([KD]).left() is None


@given(st.lists(seconds, min_size=1, max_size=5), st.integers(1, 9))
def test_equal_cells_take_their_mean_each(took: list[float], count: int) -> None:
    pace = Pace([KD] * count)
    for one in took:
        pace.learn(KD, one)
    found = pace.left()
    assert found is not None
    assert found.seconds == pytest.approx(count * sum(took) / len(took))
    assert found.whole


@given(seconds, st.floats(1, 1e6), st.floats(1, 1e6))
def test_another_task_takes_time_in_proportion_to_its_size(
    took: float, size: float, other: float
) -> None:
    pace = Pace([])
    pace.learn(KD._replace(size=size), took)
    assert pace.expected(KD._replace(task="qqp", size=other)) == pytest.approx(took * other / size)


def test_the_nearest_likeness_counts() -> None:
    pace = Pace([])
    pace.learn(KD, 10.0)
    pace.learn(KD._replace(what="dml"), 50.0)
    assert pace.expected(KD) == 10.0  # the same cell
    assert pace.expected(KD._replace(task="rte")) == 10.0  # the same method elsewhere
    assert pace.expected(KD._replace(what="pkd")) == 30.0  # the kind
    assert pace.expected(KD._replace(kind="retrieval")) is None


def test_what_waits_in_the_cache_says_nothing_of_what_is_to_be_trained() -> None:
    cached = KD._replace(cached=True)
    pace = Pace([KD, cached])
    assert pace.expected(cached) == 0.0
    pace.learn(cached, 0.5)
    assert pace.expected(KD) is None
    assert pace.left() == Left(0.5, False)


def test_a_kind_without_a_figure_makes_the_estimate_a_lower_bound() -> None:
    pace = Pace([KD, Work("retrieval", "kd exact", "mrpc", 10.0)])
    pace.learn(KD, 20.0)
    assert pace.left() == Left(20.0, False)
    pace.drop(KD)
    assert pace.left() is None  # of what is left nothing is known


def test_what_is_dropped_and_what_is_under_way_does_not_count_again() -> None:
    teacher = Work(SHARED, "", "mrpc", 100.0)
    pace = Pace([KD, KD, teacher])
    pace.learn(KD, 20.0)
    pace.learn(teacher, 60.0)
    assert pace.left() == Left(100.0, True)
    assert pace.left([(KD, 5.0)]) == Left(95.0, True)
    assert pace.left([(KD, 500.0)]) == Left(80.0, True)  # late: but it was only one cell
    assert pace.left(parallel=2) == Left(50.0, True)
    pace.drop(teacher)
    pace.drop(KD)
    assert pace.left() == Left(20.0, True)
