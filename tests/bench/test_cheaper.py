"""Axes that make retrieval cheaper: what is planned, what is refused, and what stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell
from bench.cli.run import flags
from bench.records.merged import united
from bench.settings import SettingError, resolve
from reaugkd.errors import UserError
from tests.bench import runs
from tests.bench.test_settings import MINI, options

pytestmark = pytest.mark.usefixtures("nothing_trains")

USUAL = {
    "condense": ["FULL"],
    "pca": ["none"],
    "value_bits": [32],
    "count_weight": [False],
    "skip": ["Never"],
    "margin": 1.0,
}
"""Everything at its default, spelled otherwise; without a cheaper base a margin means nothing."""


def retrieval(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.kind == "retrieval"]


def planned(folder: Path, **axes: Any) -> list[Cell]:
    given = {"ann": ["exact"]} | axes
    return retrieval(runs.plan(folder, **{f"retrieval__{name}": v for name, v in given.items()}))


def test_defaults_that_are_written_out_change_no_key_no_plan_and_no_name(tmp_path: Path) -> None:
    plain = runs.plan(tmp_path)
    named = runs.plan(tmp_path, **{f"retrieval__{name}": value for name, value in USUAL.items()})
    assert [(c.key, c.summary()) for c in named] == [(c.key, c.summary()) for c in plain]
    tree = runs.resolved().whole.model_dump(mode="json")
    assert not tree["retrieval"].keys() & USUAL.keys()  # as run.json was before there were any
    assert runs.resolved(retrieval=USUAL).whole.model_dump(mode="json") == tree


def test_a_run_of_cheaper_bases_states_its_margin() -> None:
    config = runs.resolved(retrieval__condense=["full", "random:8"]).whole
    assert config.model_dump(mode="json")["retrieval"]["margin"] == 0.2
    again = type(config).model_validate(config.model_dump(mode="json"))
    assert again == config


@pytest.mark.parametrize(
    ("axis", "value", "label"),
    [
        ("condense", "Random: 64@1", "random:64@1"),
        ("pca", 16, "pca 16"),
        ("value_bits", 8, "8-bit values"),
        ("skip", "lossless", "skip lossless"),
        ("skip", "risk:1%", "skip risk:0.01"),
    ],
)
def test_each_is_another_cell_of_the_same_student(
    axis: str, value: object, label: str, tmp_path: Path
) -> None:
    (usual,) = planned(tmp_path)
    first, other = planned(tmp_path, **{axis: [*USUAL[axis], value]})  # type: ignore[misc]
    assert (first.key, first.label) == (usual.key, usual.label)
    assert other.key != first.key
    assert other.needs == first.needs
    assert other.label == first.label.replace("soft labels", f"soft labels, {label}")


def test_who_asks_no_student_is_one_base_for_all_of_them(tmp_path: Path) -> None:
    axes = {"methods": "all", "condense": ["random:64"], "keys": ["teacher"]}
    cells = planned(tmp_path, **axes)
    assert len(cells) == 3
    assert len({str(cell.identity["base"]) for cell in cells}) == 1
    for cell in cells:
        assert cell.identity["base"]["condense"] == "random:64"
        assert "student" not in cell.identity["base"]


def test_percent_is_of_the_rows_that_there_are_and_one_size_is_one_cell(tmp_path: Path) -> None:
    cells = planned(
        tmp_path, condense=["full", "random:10%", "random:60", "random:60@1"], share=[1.0, 0.5]
    )
    assert [(cell.share, cell.condense) for cell in cells] == [
        (1.0, "full"),
        (1.0, "random:60"),
        (1.0, "random:60@1"),
        (0.5, "full"),
        (0.5, "random:30"),
        (0.5, "random:60"),
        (0.5, "random:60@1"),
    ]


def test_rules_of_skipping_follow_each_other_behind_one_backend(tmp_path: Path) -> None:
    cells = planned(tmp_path, skip=["never", "lossless"], ann=["exact", "hnswlib"])
    assert [(cell.backend, cell.skip_rule) for cell in cells] == [
        ("exact", "never"),
        ("exact", "lossless"),
        ("hnswlib", "never"),
        ("hnswlib", "lossless"),
    ]


IMPOSSIBLE = [
    ({"condense": "random:5000"}, "'random:5000' makes more entries than the 600 rows there are"),
    ({"condense": "random:301", "share": 0.5}, "than the 300 rows there are at share 50 %"),
    ({"condense": "random:2", "k": [4, 8]}, "k = 4 is larger than the 2 entries of 'random:2'"),
    ({"pca": 33}, "pca 33: the keys have 32 dimensions"),
    ({"skip": "lossless", "tasks": ["alike"]}, "a regression cannot skip retrieval"),
    ({"count_weight": True}, "every entry of 'full' stands for one row"),
    ({"pca": 30, "ann": "faiss:PQ8"}, "faiss cannot make 'PQ8' for width 30"),
]
"""(axes, words): what there cannot be."""


@pytest.mark.parametrize(("axes", "words"), IMPOSSIBLE)
def test_what_cannot_be_is_an_error_of_the_reference_and_else_a_skipped_cell(
    axes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    of_run = {name: axes.pop(name) for name in ("tasks",) if name in axes}
    lists = {name: value if isinstance(value, list) else [value] for name, value in axes.items()}
    given = {f"retrieval__{name}": value for name, value in lists.items()} | of_run
    with pytest.raises(UserError) as told:
        runs.plan(tmp_path, **given)
    assert words in str(told.value)
    further = [name for name in lists if name in USUAL]
    for name in further:
        given[f"retrieval__{name}"] = [*USUAL[name], *lists[name]]  # type: ignore[misc]
    cells = retrieval(runs.plan(tmp_path, **given))
    assert cells[0].skip is None
    assert words in str(cells[-1].skip)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"condense": ["randm:8"]}, "'retrieval.condense': unknown condenser 'randm'.*'random'"),
        ({"condense": ["random"]}, "condenser 'random' needs a number of entries"),
        ({"condense": ["full:8"]}, "condenser 'full' takes no number of entries"),
        ({"condense": ["random:0%"]}, "'random:0%': expected random:ENTRIES.*random:1%"),
        ({"condense": ["random:8", "RANDOM:8"]}, "condense has a value twice: random:8"),
        ({"pca": ["sixty"]}, "pca is a number of dimensions above 0, or none, not 'sixty'"),
        ({"pca": [0]}, "pca is a number of dimensions above 0"),
        ({"value_bits": [16]}, "'retrieval.value_bits.0' = 16"),
        ({"skip": ["lossles"]}, "unknown skip rule 'lossles'.*'lossless'"),
        ({"skip": ["risk:2"]}, "'retrieval.skip': skip 'risk:2': expected risk:EPS"),
        ({"margin": -0.1}, "'retrieval.margin' = -0.1"),
    ],
)
def test_a_mistake_is_told_before_rows_are_read(axes: dict[str, Any], words: str) -> None:
    with pytest.raises((SettingError, UserError), match=words):
        runs.resolved(retrieval=axes)


def test_flags_set_the_axes() -> None:
    given = {"condense": ["full", "random:64"], "pca": ["none", "64"], "value_bits": [32, 8]}
    given |= {"skip": ["never", "risk:1%"]}
    tree = flags(options(**given, margin=0.5))
    retrieval = resolve([MINI, tree]).whole.retrieval
    assert retrieval.condense == ("full", "random:64")
    assert retrieval.pca == ("none", 64)
    assert retrieval.value_bits == (32, 8)
    assert retrieval.skip == ("never", "risk:0.01")
    assert retrieval.margin == 0.5


def test_a_merged_run_has_the_usual_base_of_the_run_that_does_not_name_it() -> None:
    plain, cheap = runs.resolved(), runs.resolved(retrieval__condense=["random:8"])
    origins = [
        {"folder": name, "preset": "mini", "tasks": {}, "config": one.whole.model_dump(mode="json")}
        for name, one in (("a", plain), ("b", cheap))
    ]
    for order, expected in ((origins, ["full", "random:8"]), (origins[::-1], ["random:8", "full"])):
        assert united(order)["config"]["retrieval"]["condense"] == expected
    assert "condense" not in united([origins[0], origins[0]])["config"]["retrieval"]
