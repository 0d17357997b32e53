"""Runs small enough for a test: a real task, real training, models of a few thousand weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from bench import layers, settings
from bench.cell import Cell
from bench.cli.main import main
from bench.pipeline.workbench import Workbench
from bench.plan import make
from bench.records.run import Record, comparable
from bench.records.store import Store
from bench.settings import Resolved
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter, Silent

ROOT = Path(__file__).resolve().parents[2]
SMALL = """
methods = ["finetune", "kd", "reaugkd"]
tasks = ["follows"]

[data]
limit = 800

[teacher]
floor_margin = 0.0
[teacher.model.config]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 64
[teacher.recipe]
learning_rate = 3e-3
epochs = 3
precision = "fp32"

[student.model.config]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 64
[student.recipe]
learning_rate = 3e-3
epochs = 1
precision = "fp32"

[retrieval]
ann = ["exact", "hnswlib"]
k = [1, 2, 4, 8]
"""


def arguments(folder: Path, *more: object) -> list[str]:
    """``bench run`` of the small matrix, all of it below ``folder``; ``more`` goes last."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "small.toml"
    file.write_text(SMALL, encoding="utf-8")
    places = {"--config": file, "--cache": folder / "cache", "--out": folder / "out"}
    flags = [str(part) for pair in places.items() for part in pair]
    return ["run", *flags, *map(str, more)]


def bench(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="bench")


def run(folder: Path, *more: object) -> Result:
    """The small matrix in this process."""
    return bench(*arguments(folder, *more))


def command(folder: Path, *more: object) -> list[str]:
    """The same as a command for a process of its own."""
    start = "from bench.cli.main import main; main(prog_name='bench')"
    return [sys.executable, "-c", start, *arguments(folder, *more)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


def records(out: Path) -> dict[str, Record]:
    """Name of the cell -> its record.

    E.g. ``kd``, ``kd controls``, ``reaugkd exact projected soft`` or ``... soft 0.1 random-keys``.
    """
    found, problems = Store(out).records()
    assert problems == []
    made = {}
    for one in found:
        name = f"{one.method} {one.seed}" if one.seed else one.method
        if one.kind == "retrieval":
            cell = next(c for c in Store(out).read_run()["cells"] if c["key"] == one.key)
            name += f" {cell['backend']} {cell['keys']} {cell['values']}"
            name += f" {cell['share']:g}" if cell["share"] != 1 else ""
            name += f" {cell['control']}" if cell["control"] != "none" else ""
            axes = {"condense": "{}", "pca": "pca {}", "value_bits": "{}-bit", "skip_rule": "{}"}
            axes |= {"count_weight": "counts"}
            name += "".join(f" {axes[axis].format(cell[axis])}" for axis in axes if axis in cell)
        if one.kind == "control":
            name += " controls"
        made[name] = one
    return made


def results(out: Path) -> dict[str, Any]:
    """What two runs of the same cells have in common."""
    return {name: comparable(one) for name, one in records(out).items()}


def statuses(out: Path) -> dict[str, str]:
    return {name: one.status for name, one in records(out).items()}


def resolved(ablation: str | None = None, **flags: Any) -> Resolved:
    """The small matrix with ``flags`` on top; a name such as ``data__limit`` is a path.

    An ablation goes on top of the small matrix here, so that its own lists are what is planned.
    """
    given = [layers.read("preset", "mini"), settings.tomllib.loads(SMALL)]
    given += [layers.read("ablation", ablation)] if ablation else []
    for name, value in flags.items():
        tree: Any = value
        for part in reversed(name.split("__")):
            tree = {part: tree}
        given.append(tree)
    return settings.resolve(given)


def plan(cache: Path, reporter: Reporter | None = None, **flags: Any) -> list[Cell]:
    """The plan of the small matrix with ``flags`` on top."""
    listener = reporter or Silent()
    return make(
        resolved(**flags).tasks, Workbench(ArtifactStore(cache, listener), listener, "test")
    )
