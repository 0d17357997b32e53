"""Laws of axes: categories keep their order, ticks lie within the values and apart."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from bench.report import scale
from bench.report.figure import Axis, Panel, Rule, Series

positive = st.floats(1e-6, 1e9)


def panel(*xs: tuple[float | str | None, ...], log: bool = False) -> Panel:
    series = tuple(Series(str(n), x, (1.0,) * len(x)) for n, x in enumerate(xs))
    return Panel("", Axis("x", log=log), Axis("y"), series)


def test_one_word_makes_all_places_categories_in_the_order_they_appear() -> None:
    found = scale.across(panel(("off", 1, 2), (4, None, 1000)))
    assert (found.kind, found.categories) == ("category", ("off", "1", "2", "4", "1,000"))
    assert scale.across(panel((1, 2))).kind == "linear"
    assert scale.across(panel((1, 2), log=True)).kind == "log"


def test_a_log_axis_of_values_close_together_is_linear() -> None:
    assert scale.across(panel((9.72, 10.2, 11.7), log=True)) == scale.Scale("linear")
    assert scale.across(panel((9.72, 10.2, 117), log=True)).kind == "log"


@given(st.lists(positive, min_size=1))
def test_ticks_of_a_log_axis_lie_within_its_values(values: list[float]) -> None:
    ticks = scale.log_ticks(values)
    if ticks is not None:
        assert all(min(values) <= tick <= max(values) for tick in ticks)
        assert list(ticks) == sorted(set(ticks))
        assert len(ticks) >= 3


@given(st.lists(positive, min_size=1), st.booleans())
def test_own_ticks_are_all_values_and_none_are_crowded(values: list[float], log: bool) -> None:
    ticks = scale.own_ticks(values, log=log)
    if ticks is not None:
        assert set(ticks) == set(values)
        at = [math.log10(tick) if log else tick for tick in ticks]
        apart = [after - before for before, after in itertools.pairwise(at)]
        assert min(apart) >= scale.NEAREST * (at[-1] - at[0])


def test_a_decade_and_a_half_still_has_ticks_and_wide_axes_have_decades() -> None:
    assert scale.log_ticks([1, 2, 4, 8, 10, 15, 16, 20, 32]) == (1, 2, 5, 10, 20)
    assert scale.log_ticks([0.3, 776]) == (1, 10, 100)
    assert scale.log_ticks([2.0, 2.2]) is None


def test_rules_belong_to_the_upright_axis() -> None:
    one = Series("a", (1,), (2.0,), (1.5,), (2.5,))
    made = Panel("", Axis("x"), Axis("y", log=True), (one,), (Rule("limit", 300.0),))
    assert scale.upright(made).ticks == (2, 5, 10, 20, 50, 100, 200)


def test_what_is_not_positive_has_no_place_on_a_log_axis() -> None:
    log, plain = Axis("", log=True), Axis("")
    assert [scale.place(value, log) for value in (0, -1, math.nan, math.inf, "off", 2)] == [
        None, None, None, None, "off", 2.0
    ]  # fmt: skip
    assert [scale.place(value, plain) for value in (0, -1, math.nan, None)] == [
        0.0,
        -1.0,
        None,
        None,
    ]
