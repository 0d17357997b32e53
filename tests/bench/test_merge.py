"""Laws of merging: nothing is lost, nothing contradicts, and what is read stays as it is."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench.cli.main import main
from bench.merge import ConflictError, Merge, MergeError, merge, preview
from bench.records.choice import Prefer
from bench.records.differences import recipe
from bench.records.planned import Planned
from bench.records.results import load
from bench.records.run import Record
from bench.records.store import Store, StoreError
from bench.report.build import of_run
from bench.report.inputs import RunInputs
from tests.bench.report import factory

COMMAND = "bench merge all a b"


def arrays(record: Record) -> dict[str, Any]:
    """Something of the cell's own."""
    draw = np.random.default_rng(list(record.key.encode()))
    return {"logits.dev": draw.normal(size=(5, 2)).astype(np.float32)}


def run(
    folder: Path,
    records: Iterable[Record],
    plan: list[Record] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    found = list(records)
    store = factory.store(folder, found, plan, config)
    for record in found:
        if record.status == "ok":
            store.write(record, arrays(record))
    return store.folder


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def cells(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "cells").iterdir())}


def united(into: Path, *runs: Path, prefer: Prefer | None = None) -> Merge:
    return merge(into, runs, command=COMMAND, prefer=prefer)


def lead(folder: Path) -> str:
    return " ".join(of_run(RunInputs(load(Store(folder)))).lead)


def planned(folder: Path) -> list[Planned]:
    return [cell.plan for cell in load(Store(folder)).cells]


def counts(done: Merge) -> tuple[int, int, int]:
    """Records that were copied, that were there already, and cells without any."""
    return len(done.todo), len(done.cells) - len(done.todo) - done.waiting, done.waiting


def stand_on(folder: Path, key: str) -> None:
    """The second cell of the plan stands on the student with ``key``."""
    plan = Store(folder).read_run()
    plan["cells"][1]["needs"] = key
    Store(folder).write_run(plan)


def elsewhere(record: Record, time: str = "2025-06-01T00:00:00+00:00") -> Record:
    """The same cell from another machine: only volatile figures differ."""
    made = factory.provenance(cpu="Other CPU", time=time, command="bench run --there")
    return record.model_copy(update={"provenance": made, "seconds": record.seconds + 9})


def scored(record: Record, value: float, time: str = "2025-06-01T00:00:00+00:00") -> Record:
    """The same cell with another result."""
    assert record.training is not None
    result = record.training.model_copy(update={"scores": factory.scores(record.task, value)})
    return elsewhere(record, time).model_copy(update={"training": result})


@pytest.mark.parametrize("draw", range(3))
def test_parts_of_a_run_make_the_run_in_whatever_order(draw: int, tmp_path: Path) -> None:
    whole, chance = factory.matrix([0, 1]), Random(draw)
    parts = [[record for record in whole if chance.random() < 0.6] for _ in range(3)]
    known = {record.key for part in parts for record in part}
    whole = [record for record in whole if record.key in known]
    alone = run(tmp_path / "alone" / "all", whole)
    folders = [run(tmp_path / f"part-{n}", part) for n, part in enumerate(parts)]
    expected = of_run(RunInputs(load(Store(alone))))
    for number, order in enumerate((folders, folders[::-1])):
        into = tmp_path / str(number) / "all"
        done = united(into, *order)
        assert cells(into) == cells(alone)
        assert (counts(done), done.conflicts) == ((len(whole), 0, 0), [])
        made = of_run(RunInputs(load(Store(into))))
        for name in ("scores", "retrieval", "costs", "training"):
            assert _sorted(made.data[name]) == _sorted(expected.data[name])


def _sorted(found: list[Any]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in found)


def test_the_runs_are_not_touched_and_again_changes_nothing(tmp_path: Path) -> None:
    whole = factory.matrix([0, 1])
    folders = [run(tmp_path / "a", whole[:9]), run(tmp_path / "b", whole[5:])]
    before = [content(folder) for folder in folders]
    into = tmp_path / "all"
    done = united(into, *folders)
    assert counts(done) == (16, 0, 0)
    first = content(into)
    assert counts(united(into, *folders)) == (0, 16, 0)
    again = content(into)
    assert again.pop("run.json")[0] == first.pop("run.json")[0]
    assert again == first
    assert [content(folder) for folder in folders] == before


def test_a_second_call_adds_what_is_new(tmp_path: Path) -> None:
    whole = factory.matrix([0, 1])
    one = run(tmp_path / "a", whole[:5], plan=whole[:7])
    into = tmp_path / "all"
    assert united(into, one).waiting == 2
    run(tmp_path / "a", whole[:7])
    two = run(tmp_path / "b", whole[7:])
    done = united(into, one, two)
    assert counts(done) == (len(whole) - 5, 5, 0)
    assert cells(into) == cells(run(tmp_path / "alone", whole))
    # what was merged before is there although its run is not named again
    assert len(united(into, two).cells) == len(whole)


def test_a_contradiction_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    record = factory.training(value=0.8)
    folders = [run(tmp_path / "a", [record]), run(tmp_path / "b", [scored(record, 0.7)])]
    with pytest.raises(ConflictError) as found:
        united(tmp_path / "all", *folders)
    for part in ("mrpc kd seed 0 in a and b", "training.scores.dev.accuracy: 0.8 and 0.7"):
        assert part in str(found.value)
    for part in ("--prefer first", "--prefer newest", "--dry-run"):
        assert part in str(found.value)
    assert not (tmp_path / "all").exists()
    (conflict,) = preview(tmp_path / "all", folders, command=COMMAND).conflicts
    assert (conflict.cell, conflict.taken, conflict.other) == ("mrpc kd seed 0", "a", "b")
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize("prefer", ["first", "newest"])
@pytest.mark.parametrize("later", ["a", "b"])
def test_a_preference_settles_it_and_is_kept(prefer: Prefer, later: str, tmp_path: Path) -> None:
    record, times = factory.training(value=0.8), {"a": "2025-03-01T00:00:00+00:00"}
    times["b"] = "2025-04-01T00:00:00+00:00" if later == "b" else "2025-02-01T00:00:00+00:00"
    found = {name: scored(record, value, times[name]) for name, value in (("a", 0.8), ("b", 0.7))}
    folders = [run(tmp_path / name, [one]) for name, one in found.items()]
    taken = "a" if prefer == "first" else later
    into = tmp_path / "all"
    for _ in range(2):  # the same command again stays with it
        united(into, *folders, prefer=prefer)
        assert Store(into).read(record.key) == found[taken]
        assert Store(into).read_run()["conflicts"]
        with pytest.raises(ConflictError):
            united(into, *folders)
    assert "contradicted each other on 1 cell: mrpc kd seed 0" in lead(into)


def test_outputs_alone_may_contradict_but_not_by_their_bytes(tmp_path: Path) -> None:
    record = factory.training()
    folders = [run(tmp_path / name, [record]) for name in "ab"]
    np.savez(folders[1] / "cells" / f"{record.key}.npz", **arrays(record))  # not compressed
    assert counts(united(tmp_path / "same", *folders)) == (1, 0, 0)
    changed = arrays(record)
    changed["logits.dev"][0, 0] += 1
    Store(folders[1]).write(elsewhere(record), changed)
    with pytest.raises(ConflictError, match=r"per-example outputs \(logits\.dev\)"):
        united(tmp_path / "all", *folders)


@pytest.mark.parametrize("status", ["failed", "skipped"])
@pytest.mark.parametrize("first", [True, False])
def test_what_ended_well_comes_before_what_did_not(
    status: str, first: bool, tmp_path: Path
) -> None:
    good = factory.training()
    bad = factory.failed(elsewhere(good, "2026-01-01T00:00:00+00:00"), "out of memory", status)
    folders = [run(tmp_path / "good", [good]), run(tmp_path / "bad", [bad])]
    done = united(tmp_path / "all", *(folders if first else folders[::-1]))
    assert done.conflicts == []
    assert Store(tmp_path / "all").read(good.key) == good
    united(tmp_path / "later", folders[1])  # what ended well later takes its place
    assert counts(united(tmp_path / "later", folders[0])) == (1, 0, 0)
    assert Store(tmp_path / "later").read(good.key) == good


def test_one_name_for_two_cells_is_a_contradiction(tmp_path: Path) -> None:
    """A report would take them for two seeds of one method."""

    def student(key: str, temperature: float) -> Record:
        identity = {"settings": {"temperature": temperature}, "seed": 0}
        return factory.training().model_copy(update={"key": key, "identity": identity})

    hot, cold = student("hot", 4.0), student("cold", 2.0)
    on_hot = factory.retrieval(method="kd", backend="exact")
    on_cold = factory.retrieval(method="kd", backend="annoy")
    folders = [run(tmp_path / "hot", [hot, on_hot]), run(tmp_path / "cold", [cold, on_cold])]
    for folder, key in zip(folders, ("hot", "cold"), strict=True):
        stand_on(folder, key)
    with pytest.raises(ConflictError, match=r"settings\.temperature: 4\.0 and 2\.0"):
        united(tmp_path / "all", *folders)
    for order in (folders, folders[::-1]):
        into = tmp_path / f"all-{order[0].name}"
        united(into, *order, prefer="first")
        # what stands on the student that was not taken is not taken either
        student, *others = planned(into)
        assert (student.key, [plan.needs for plan in others]) == (order[0].name, [order[0].name])


def test_one_cell_under_two_names_is_a_contradiction(tmp_path: Path) -> None:
    kd = factory.training().model_copy(update={"key": "same"})
    named = kd.model_copy(update={"method": "kd-hot"})
    folders = [run(tmp_path / "a", [kd]), run(tmp_path / "b", [named])]
    with pytest.raises(ConflictError, match="one cell under two names, mrpc kd seed 0 and mrpc kd"):
        united(tmp_path / "all", *folders)
    united(tmp_path / "all", *folders, prefer="first")
    assert [plan.method for plan in planned(tmp_path / "all")] == ["kd"]


def test_a_file_that_cannot_be_used_is_named_and_another_copy_taken(tmp_path: Path) -> None:
    records = [factory.training(seed=seed) for seed in (0, 1)]
    folders = [run(tmp_path / name, records) for name in "ab"]
    record, outputs = (folders[0] / "cells" / f"t-mrpc-kd-{name}" for name in ("0.json", "1.npz"))
    record.write_text(record.read_text()[:50])
    outputs.write_bytes(outputs.read_bytes()[:-30])
    done = united(tmp_path / "all", *folders)
    assert {problem.path for problem in done.problems} == {record, outputs}
    assert counts(done) == (2, 0, 0)
    assert cells(tmp_path / "all") == cells(folders[1])


def test_records_of_another_plan_stay_where_they_are(tmp_path: Path) -> None:
    records = [factory.training(seed=seed) for seed in (0, 1)]
    done = united(tmp_path / "all", run(tmp_path / "a", records, plan=records[:1]))
    assert counts(done) == (1, 0, 0)
    assert any(note.startswith("1 records in ") for note in done.notes)


def test_the_merged_plan_says_where_its_cells_come_from(tmp_path: Path) -> None:
    shared = {"pooling": "mean", "retrieval": {"ann": ["exact"]}}
    configs = {
        "a": shared | {"seeds": [0], "data": {"limit": 100}},
        "b": shared | {"seeds": [1], "data": {"limit": None}},
    }
    folders = [
        run(tmp_path / name, [factory.training(seed=seed)], config=configs[name])
        for seed, name in enumerate("ab")
    ]
    for folder in folders:
        plan = Store(folder).read_run() | {"command": f"bench run --out {folder.name}"}
        Store(folder).write_run(plan)
    into = tmp_path / "all"
    done = united(into, *folders)
    plan = Store(into).read_run()
    assert plan["command"] == COMMAND
    assert plan["commands"] == ["bench run --out a", "bench run --out b"]
    assert plan["config"] == configs["a"] | {"seeds": [0, 1]}
    assert [one["config"] for one in plan["merged"]] == [configs["a"], configs["b"]]
    assert done.differences == ["data.limit: 100 in a, none in b", "seeds: [0] in a, [1] in b"]
    assert "Merged from 2 runs: a, b." in lead(into)
    assert "data.limit: 100 in a, none in b" in lead(into)
    assert "train was limited to 100 rows (--limit) in a." in lead(into)
    # a run that is merged of merged ones names those that were run
    third = run(tmp_path / "c", [factory.training(seed=2)])
    united(tmp_path / "more", into, third)
    assert [Path(one["folder"]).name for one in Store(tmp_path / "more").read_run()["merged"]] == [
        "a", "b", "c"
    ]  # fmt: skip


@pytest.mark.parametrize("done", [0, 1, 5])
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_merge_that_was_stopped_goes_on_where_it_was(
    stop: BaseException, done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = factory.matrix([0])
    folders = [run(tmp_path / "a", whole[:4]), run(tmp_path / "b", whole[4:])]
    copy, copied = shutil.copyfileobj, itertools.count()

    def stopped(*files: Any) -> None:
        if next(copied) == done:
            raise stop
        copy(*files)

    into = tmp_path / "all"
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", stopped)
        with pytest.raises((KeyboardInterrupt, StoreError), match=r"No space left|^$"):
            united(into, *folders)
    half = load(Store(into))
    assert (len(half.cells), half.problems) == (len(whole), ())
    assert sum(cell.status == "ok" for cell in half.cells) == done // 2  # the outputs come first
    assert counts(united(into, *folders))[1] == done // 2
    assert cells(into) == cells(run(tmp_path / "alone", whole))


def test_folders_that_cannot_be_are_refused(tmp_path: Path) -> None:
    one, two = (run(tmp_path / name, [factory.training()]) for name in "ab")
    before = content(tmp_path)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").touch()
    for into, runs, said in (
        (one, [two], "is a run of its own"),
        (one, [one, two], "is or lies in RUN"),
        (one / "below" / "all", [one], "is or lies in RUN"),
        (tmp_path / "all", [one, two, tmp_path / "." / "a"], "given twice"),
        (full, [one], "no merged run"),
        (full / "mine.txt", [one], "no merged run"),
    ):
        with pytest.raises(MergeError, match=said):
            united(into, *runs)
    with pytest.raises(StoreError, match="no run at"):
        united(tmp_path / "all", one, tmp_path / "nowhere")
    (full / "mine.txt").unlink()
    assert content(tmp_path) == before


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["merge", *map(str, arguments)], prog_name="bench")


def test_the_command_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a", 0), ("b", 1)):
        run(Path("results/runs") / name, [factory.training(seed=seed)], config={"seeds": [seed]})
    done = bench("all", "a", "b")  # names in results/runs
    assert (done.exit_code, done.stderr) == (0, "")
    assert "all: 2 cells: 2 copied, 0 there already" in done.stdout
    assert done.stdout.endswith("bench report all\n")
    assert "settings differ: seeds: [0] in a, [1] in b\n" in done.stdout


def test_a_dry_run_names_every_conflict_and_its_exit_code_says_so(tmp_path: Path) -> None:
    records = [factory.training(seed=seed) for seed in range(5)]
    one = run(tmp_path / "a", records)
    two = run(tmp_path / "b", [scored(record, 0.5) for record in records])
    into = tmp_path / "all"
    shown = bench(into, one, two, "--dry-run")
    assert shown.exit_code == 1
    assert all(f"mrpc kd seed {seed}" in shown.stdout for seed in range(5))
    assert bench(into, one, two, "--dry-run", "--prefer", "first").exit_code == 0
    assert not into.exists()
    refused = bench(into, one, two)
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "5 cells differ" in refused.stderr
    assert "and 2 more" in refused.stderr
    assert bench(into, one, two, "--prefer", "newest").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["all"], "Missing argument 'RUN...'"),
        (["all", "nowhere"], "no run at nowhere"),
        (["all", "a", "--prefer", "last"], "'last' is not one of 'first', 'newest'"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bench(*arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def made_by(
    seed: int, rate: float = 1e-5, *, method: str = "kd", teacher: str = "t", **changes: Any
) -> Record:
    """A student of a learning rate and a teacher."""
    own = {"task": "mrpc", "method": method, "seed": seed, "settings": {"of": method}}
    identity = own | {"recipe": {"learning_rate": rate}, "teacher": {"data": teacher, "seed": 0}}
    key = f"{method}-{seed}-{rate}-{teacher}"
    made = factory.training(method=method, seed=seed, identity=identity, **changes)
    return made.model_copy(update={"key": key})


def test_seeds_of_two_recipes_contradict_each_other(tmp_path: Path) -> None:
    """A report would take them for five seeds of one method."""
    one = run(tmp_path / "a", [made_by(seed) for seed in (0, 1, 2)])
    later = [made_by(seed, 5e-5) for seed in (3, 4)]
    two = run(tmp_path / "b", later, plan=[*later, made_by(5, 5e-5)])
    with pytest.raises(ConflictError) as found:
        united(tmp_path / "all", one, two)
    assert "mrpc kd in a and b: recipe.learning_rate: 1e-05 and 5e-05" in str(found.value)
    assert not (tmp_path / "all").exists()
    for order, seeds in (((one, two), {0, 1, 2}), ((two, one), {3, 4, 5})):
        into = tmp_path / f"all-{order[0].name}"
        for _ in range(2):  # the same command again stays with it
            united(into, *order, prefer="first")
            assert {plan.seed for plan in planned(into)} == seeds
        assert f"on 1 cell: mrpc kd is that of {order[0].name}." in lead(into)
    late = factory.provenance(time="2026-01-01T00:00:00+00:00")
    run(two, [*later, made_by(5, 5e-5, provenance=late)])
    united(tmp_path / "newest", one, two, prefer="newest")  # the recipe of the newest record
    assert {plan.seed for plan in planned(tmp_path / "newest")} == {3, 4, 5}


def test_what_stands_on_another_copy_of_the_student_is_left_out(tmp_path: Path) -> None:
    student = factory.training(value=0.8)
    one = run(tmp_path / "a", [student])
    two = run(tmp_path / "b", [scored(student, 0.7), factory.retrieval(method="kd")])
    stand_on(two, student.key)
    for order, kinds in (((one, two), ["training"]), ((two, one), ["training", "retrieval"])):
        into = tmp_path / f"all-{order[0].name}"
        united(into, *order, prefer="first")
        assert [plan.kind for plan in planned(into)] == kinds


@pytest.mark.parametrize("what", ["another seed", "another device"])
def test_seeds_of_one_recipe_do_not_contradict_each_other(what: str, tmp_path: Path) -> None:
    other = made_by(1)
    if what == "another device":
        other = other.model_copy(update={"identity": other.identity | {"device": "cuda"}})
    folders = [run(tmp_path / "a", [made_by(0)]), run(tmp_path / "b", [other])]
    done = united(tmp_path / "all", *folders)
    assert (len(done.cells), done.conflicts, done.notes) == (2, [], [])


@pytest.mark.parametrize("seed", ["student.seed", "base.seed", "base.drawn", "base.student.seed"])
def test_every_seed_of_a_knowledge_base_may_differ_but_not_its_teachers(seed: str) -> None:
    def identity(path: str, number: int) -> dict[str, Any]:
        found: Any = number
        for name in reversed(path.split(".")):
            found = {name: found}
        return {"k": [1, 2], **found}

    assert recipe(identity(seed, 0)) == recipe(identity(seed, 1))
    for path in ("base.signals.seed", "student.teacher.seed", "settings.seed"):
        assert recipe(identity(path, 0)) != recipe(identity(path, 1))


def test_methods_that_were_not_made_alike_are_no_conflict_and_a_warning(tmp_path: Path) -> None:
    one = run(tmp_path / "a", [made_by(0), made_by(0, method="pkd")])
    two = run(tmp_path / "b", [made_by(0, 5e-5, method="rkd", teacher="u")])
    into = tmp_path / "all"
    said = (
        "Warning: the students of mrpc were not made alike: recipe.learning_rate: 1e-05 (kd, pkd), "
        "5e-05 (rkd); teacher.data: t (kd, pkd), u (rkd)."
    )
    assert united(into, one, two).notes == [said]
    assert said in lead(into)
    assert not united(tmp_path / "alone", one).notes


def test_every_conflict_of_a_cell_is_kept_and_stays(tmp_path: Path) -> None:
    record = factory.training(value=0.8)
    folders = [run(tmp_path / "a", [record])]
    folders += [
        run(tmp_path / name, [scored(record, value)]) for name, value in (("b", 0.7), ("c", 0.6))
    ]
    into = tmp_path / "all"

    def settled() -> list[tuple[str, str]]:
        return [(one["taken"], one["other"]) for one in Store(into).read_run()["conflicts"]]

    united(into, *folders, prefer="first")
    assert settled() == [("a", "b"), ("a", "c")]
    assert lead(into).count("mrpc kd seed 0 is that of a") == 1
    fourth = run(tmp_path / "d", [scored(record, 0.5, "2027-01-01T00:00:00+00:00")])
    united(into, fourth, prefer="first")
    assert settled() == [("a", "b"), ("a", "c"), ("all", "d")]
    united(into, fourth, prefer="newest")  # the earlier choices do not stand any more
    assert settled() == [("d", "all")]
