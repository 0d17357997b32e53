"""What students start from: rules for layers, variants with a start of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell
from reaugkd.errors import ModelError, UserError
from tests.bench import checkpoints, runs

OWN = ("finetune", "kd")
RULES = ("bottom", "spread", "top")


def students(planned: list[Cell]) -> dict[str, Cell]:
    return {cell.method: cell for cell in planned if cell.kind == "training"}


def pretrained(layers: Any) -> dict[str, Any]:
    return {"source": "pretrained", "layers": layers}


@pytest.mark.parametrize(
    ("rule", "numbers"), [("bottom:1", [0]), ("top:1", [1]), ("spread:2", [0, 1])]
)
def test_a_rule_and_its_numbers_are_one_cell(rule: str, numbers: list[int], tmp_path: Path) -> None:
    keys = [
        [cell.key for cell in runs.plan(tmp_path, student__model=pretrained(layers))]
        for layers in (rule, numbers)
    ]
    assert keys[0] == keys[1]


def test_layers_of_the_tuned_teacher_are_counted_in_what_it_kept(tmp_path: Path) -> None:
    checkpoint = str(checkpoints.write(tmp_path / "c"))
    teacher = {"source": checkpoint, "layers": [1]}
    kept, whole = (
        runs.plan(
            tmp_path / "cache",
            teacher__model=teacher,
            student__model={"source": source, "layers": "bottom:1"},
        )[0].config.student.model
        for source in ("teacher", "pretrained")
    )
    assert kept.layers == whole.layers == (0,)
    with pytest.raises(ModelError, match="only 1 layers"):
        runs.plan(
            tmp_path / "cache",
            teacher__model=teacher,
            student__model={"source": "teacher", "layers": "bottom:2"},
        )


def test_a_rule_without_a_number_is_for_variants(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="how many"):
        runs.plan(tmp_path, student__model=pretrained("bottom"))


def test_the_ablation_compares_starts_with_the_students_own(tmp_path: Path) -> None:
    planned = students(runs.plan(tmp_path, ablation="init"))
    assert set(planned) == {*OWN, *(f"{method}-{rule}" for method in OWN for rule in RULES)} - {
        # The teacher has two layers and the student one: from there on bottom and spread are one.
        *(f"{method}-spread" for method in OWN)
    }
    assert planned["kd"].config.student_of("kd-top").layers == (1,)
    assert planned["kd-top"].identity["student"]["layers"] == [1]


def test_what_the_student_is_already_is_left_out(tmp_path: Path) -> None:
    planned = students(runs.plan(tmp_path, ablation="init", student__model=pretrained([0])))
    assert set(planned) == {*OWN, *(f"{method}-top" for method in OWN)}


def test_a_variant_may_have_a_start_of_its_own(tmp_path: Path) -> None:
    variant = {"kd-top": {"method": "kd", "student": pretrained("top:1")}}
    planned = students(runs.plan(tmp_path, methods=["kd", "kd-top"], variant=variant))
    plain = students(runs.plan(tmp_path, methods=["kd"]))
    assert planned["kd"].key == plain["kd"].key
    same = students(runs.plan(tmp_path, methods=["kd"], student__model=pretrained([1])))
    assert planned["kd-top"].key == same["kd"].key


def test_those_who_share_a_knowledge_base_are_of_one_width(tmp_path: Path) -> None:
    narrow = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    variant = {"thin": {"method": "reaugkd", "student": {"source": "config", "config": narrow}}}
    with pytest.raises(UserError, match="thin is 16 wide, that of the run 32"):
        runs.plan(tmp_path, methods=["reaugkd", "thin"], variant=variant)


def test_records_say_each_start(tmp_path: Path) -> None:
    flags = ("--ablation", "init", "--methods", "finetune,finetune-top", "--limit", 300)
    done = runs.run(tmp_path, *flags)
    assert done.exit_code == 0, done.output
    starts = {
        name: record.training.student_init
        for name, record in runs.records(tmp_path / "out").items()
        if record.training
    }
    assert starts["finetune-top"] == "random weights, 2 layers, 32 wide@1"
    assert starts["finetune"] == "random weights, 1 layers, 32 wide"
    shown = runs.bench("report", tmp_path / "out")
    assert starts["finetune-top"] in shown.output
