"""The live view: what it says is so, it fits the terminal, and it leaves nothing behind."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from bench.cell import Cell
from bench.progress.course import Course
from bench.progress.desk import EVERY, Activity, Desk, RunningStage
from bench.progress.eta import TEACHER, Left, Work, teacher_of
from bench.progress.live import RunView, parts
from bench.records.run import Record
from tests.bench import runs
from tests.bench.report import factory
from tests.bench.terminal import HIDDEN, SHOWN, has_cursor, terminal

SCORES = {"finetune": 0.7, "kd": 0.8, "reaugkd": 0.81}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    """Two tasks, three methods, two seeds, two backends: 20 cells."""
    cache = tmp_path_factory.mktemp("plan")
    return runs.plan(cache, tasks=["tone", "follows"], seeds=[0, 1])


def score(cell: Cell) -> float:
    """Of a planned cell; each has another."""
    gain = {None: 0.0, "exact": 0.02, "hnswlib": 0.5}[cell.backend]
    return SCORES[cell.method] + 0.01 * cell.seed + (0.05 if cell.task == "tone" else 0) + gain


def record(cell: Cell, status: str = "ok") -> Record:
    names = (cell.task, cell.method, cell.seed)
    if cell.kind == "training":
        made = factory.training(*names, score(cell))
    else:
        made = factory.retrieval(*names, 0.5, score(cell))
    made = made.model_copy(update={"key": cell.key})
    return made if status == "ok" else factory.failed(made, "why", status)


def works(planned: Sequence[Cell]) -> dict[str, Work]:
    """A student takes time like 100 rows, a search like 10."""
    sizes = {"training": 100.0, "retrieval": 10.0}
    return {c.key: Work(c.kind, c.method, c.task, sizes[c.kind]) for c in planned}


# --- the course ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, -1])
def test_scores_are_those_of_what_has_ended_whatever_its_order(
    step: int, planned: list[Cell]
) -> None:
    course = Course(planned, [], map(record, planned[::step]))
    assert set(course.scores) == {*product(SCORES, ["off"]), ("reaugkd", "on")}
    for (method, retrieval), tasks in course.scores.items():
        for task in ("tone", "follows"):
            backend = None if retrieval == "off" else "exact"
            values = [
                score(cell)
                for cell in planned
                if (cell.task, cell.method, cell.backend) == (task, method, backend)
            ]
            assert fmean(tasks[task]) == pytest.approx(fmean(values))
            assert len(tasks[task]) == 2


def test_what_failed_was_skipped_or_asks_another_base_has_no_score(planned: list[Cell]) -> None:
    course = Course(planned, planned)
    for cell in planned:
        status = "ok" if cell.backend == "hnswlib" else "failed" if cell.seed else "skipped"
        course.ended(cell, record(cell, status), Activity())
    assert (course.scores, course.titles) == ({}, {})


def test_the_course_counts_and_learns(planned: list[Cell]) -> None:
    clock = Clock()
    teacher = {teacher_of("tone"): Work(TEACHER, "", "tone", 100.0)}
    course = Course(planned, planned, (), works(planned) | teacher, clock=clock)
    assert (course.counts.total(), course.left()) == (0, None)
    first, second, *_ = (cell for cell in planned if cell.kind == "training")
    clock.now = 80.0
    trained = Activity(first.key, shared=60.0, made=frozenset({"teacher", "student"}))
    course.ended(first, record(first).model_copy(update={"seconds": 80.0}), trained)
    assert (course.counts["ok"], course.elapsed) == (1, 80.0)
    # eleven students like it are left; of searches nothing is known, the teacher is there
    assert course.left() == Left(11 * 20.0, False)
    under_way = Activity(second.key, began=80.0)
    clock.now = 85.0
    assert course.left([under_way]) == Left(11 * 20.0 - 5.0, False)
    course.ended(second, record(second, "failed"), under_way)
    assert course.counts["failed"] == 1
    assert course.left() == Left(10 * 20.0, False)


@pytest.mark.parametrize("workers", [1, 4, 99])
def test_records_that_are_there_tell_how_long_the_rest_takes(
    workers: int, planned: list[Cell]
) -> None:
    done, todo = planned[:10], planned[10:]
    left = Course(planned, todo, map(record, done), works(planned), workers=workers).left()
    assert left is not None
    assert left.whole
    students = sum(cell.kind == "training" for cell in todo)
    # of records of the factory: 30 s of training, 1 s of stages; 3 s a search
    alone = 31.0 * students + 3.0 * (10 - students)
    # several workers share the rest as far as it can be shared
    assert left.seconds == pytest.approx(alone / min(workers, len({c.student for c in todo})))


# --- a desk --------------------------------------------------------------------------------------


def test_a_desk_tells_a_stage_when_it_has_ended_and_loses_no_progress() -> None:
    written: list[str] = []
    shown: list[Activity] = []
    clock = Clock()
    desk = Desk(written.append, shown.append, lines=True, clock=clock)
    desk.begun("key")
    desk.artifact("teacher", True, 0.5)
    desk.artifact("student", False, 9.0)
    desk.start("train", 1000, "rows")
    for number in range(1000):
        clock.now += 0.002
        desk.advance(1, {"soft": number / 999})
    desk.start("next", 5)
    desk.finish()
    assert written[0] == "  train: 1000 rows in 2.0 s (500/s) soft 1.0000"
    assert len(written) == 2
    assert len(shown) <= 2 / EVERY + 7
    assert shown[-1] == Activity(
        "key", 0.0, 0.5, reused=frozenset({"teacher"}), made=frozenset({"student"})
    )
    # A pipe takes up to 4,096 bytes whole, so a worker that is killed leaves no half message.
    values = {f"a term of the loss {number}": 0.123456789 for number in range(20)}
    desk.start("x" * 1000, 10)
    desk.advance(1, values)
    assert len(pickle.dumps((12345, "now", desk.activity))) < 4096


# --- what is drawn -------------------------------------------------------------------------------


@pytest.fixture
def course(planned: list[Cell]) -> Course:
    made = Course(planned, planned, (), works(planned))
    for number, cell in enumerate(planned[:15]):
        made.ended(cell, record(cell, "failed" if number == 7 else "ok"), Activity())
    return made


def lines(course: Course, planned: list[Cell], workers: int, columns: int) -> list[str]:
    stage = RunningStage("epoch 1/3", 3301, "rows", 0.0, 640, {"soft": 0.5, "hard": 0.25})
    busy = [Activity(cell.key, stage=stage) for cell in planned[:workers]]
    console = Console(width=columns, height=40, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(*parts(course, busy, now=2.0), sep="\n")
    return captured.get().splitlines()


@pytest.mark.parametrize("columns", [20, 50, 80, 250])
def test_it_says_what_is_done_and_what_is_under_way_in_any_width(
    columns: int, course: Course, planned: list[Cell]
) -> None:
    shown = lines(course, planned, 3, columns)
    assert max(map(len, shown)) <= columns
    text = "\n".join(shown)
    assert text.count("  epoch 1/3") == 3
    if columns > 40:
        assert "15 done, 5 left, 1 failed" in text
        assert re.search(r"\d+:\d\d elapsed, about \d+:\d\d left", text)
        assert "640/3,301 rows, 320/s" in text  # 640 rows in two seconds
    if columns > 50:
        assert "0:08 left" in text  # (3301 - 640) / 320 = 8.3 s
        assert "soft 0.5000 hard 0.2500" in text
        for method, retrieval in course.scores:
            assert re.search(rf"^{method} +{retrieval} .*(\d\d\.\d\d|-)", text, re.M)


def in_terminal() -> Console:
    return Console(
        width=80, height=10, force_terminal=True, force_interactive=True, soft_wrap=True,
        _environ={"TERM": "xterm"},
    )  # fmt: skip


def test_a_terminal_that_cannot_move_its_cursor_gets_the_lines_of_a_pipe() -> None:
    assert not RunView(in_terminal()).lines
    assert RunView(Console(width=80)).lines
    assert RunView(Console(force_terminal=True, _environ={"TERM": "dumb"})).lines


def test_notes_stay_in_order_and_the_cursor_comes_back(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    view = RunView(in_terminal())
    desk = view.desk()
    desk.note("before")
    view.begin(course)
    desk.start("mrpc kd: epoch 1/2", 100)
    for number in range(5):
        desk.advance(20, {"soft": 0.1 * number})
        desk.note(f"note {number} " + "long " * 30)
    desk.finish()
    view.close()
    view.close()  # twice does no harm
    written = capsys.readouterr().out
    assert "elapsed" in written
    assert "mrpc kd: epoch 1/2" in written
    assert HIDDEN in written
    assert has_cursor(written)
    assert re.findall(r"before|note \d", written) == ["before", *(f"note {n}" for n in range(5))]


def test_outside_of_a_run_the_view_is_there_while_a_stage_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk = RunView(in_terminal()).desk()
    desk.note("a")
    assert capsys.readouterr().out == "a\n"
    desk.start("building", 10, "vectors")
    desk.note("b")
    written = capsys.readouterr().out
    assert "building" in written
    assert not has_cursor(written)
    desk.finish()
    assert has_cursor(capsys.readouterr().out)


# --- a real terminal -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_in_a_narrow_terminal_shows_its_view_and_leaves_its_lines(
    finished: Path, tmp_path: Path
) -> None:
    words = runs.arguments(finished, "--out", tmp_path / "out")
    with terminal(words, columns=50) as seen:
        assert seen.end() == 0
    assert "elapsed" in seen.output  # the view was there
    assert re.search(r"reaugkd +on +\d\d\.\d\d", seen.output)
    assert has_cursor(seen.output)
    last = seen.output[seen.output.rindex(SHOWN) :]
    assert "elapsed" not in last
    assert last.rstrip().endswith(f"bench report {tmp_path / 'out'}")
    assert all(f"[{number}/5" in seen.output for number in range(1, 6))
    assert "from the cache" in seen.output
    assert runs.results(tmp_path / "out") == runs.results(finished / "out")


@pytest.mark.slow
def test_ctrl_c_gives_the_terminal_back_from_a_pool_whose_stages_were_seen(tmp_path: Path) -> None:
    long = ("--set", "teacher.recipe.epochs=900", "--set", "student.recipe.epochs=900")
    words = runs.arguments(tmp_path, *long, "--methods", "kd,finetune", "--max-workers", "2")
    with terminal(words, 100) as seen:
        # of both workers, whichever epoch is drawn first
        seen.wait_for("  mini-follows teacher: epoch ", "  mini-follows finetune seed 0: epoch ")
        seen.wait_for(" examples, ")
        seen.press(b"\x03")
        assert seen.end() == 130
    last = seen.output[seen.output.rindex(SHOWN) :]
    assert last.endswith("error: interrupted; the same command resumes where it stopped\r\n")
    assert "elapsed" not in last
    assert "Traceback" not in seen.output
