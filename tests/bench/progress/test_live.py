"""The live view: what it says is so, it fits every terminal, and it leaves nothing behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from bench.cell import Cell
from bench.progress.course import OFF, ON, Course
from bench.progress.eta import TEACHER, Left, Work
from bench.progress.events import Desk
from bench.progress.lines import Lines, PlainDisplay
from bench.progress.live import LiveDisplay, Screen, display
from bench.records.run import Record
from tests.bench import runs
from tests.bench.report import factory
from tests.bench.terminal import Screen as Seen
from tests.bench.terminal import terminal

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
    assert set(course.scores) == {*product(SCORES, [OFF]), ("reaugkd", ON)}
    for (method, retrieval), tasks in course.scores.items():
        for task in ("tone", "follows"):
            backend = None if retrieval == OFF else "exact"
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
        course.ended(cell, record(cell, status))
    assert (course.scores, course.titles) == ({}, {})


def test_the_course_counts_and_learns(planned: list[Cell]) -> None:
    clock = Clock()
    teachers = {"tone": Work(TEACHER, "", "tone", 100.0)}
    course = Course(planned, planned, (), works(planned), teachers, clock=clock)
    assert (course.total, course.done, course.left()) == (20, 0, None)
    desk = Desk(clock)
    first, second, *_ = (cell for cell in planned if cell.kind == "training")
    desk.begun(first.key)
    desk.artifact("teacher", False, 60.0)  # which others need too
    desk.artifact("student", False, 20.0)
    clock.now = 80.0
    course.ended(first, record(first).model_copy(update={"seconds": 80.0}), desk)
    assert (course.done, course.counts["ok"], course.elapsed) == (1, 1, 80.0)
    # eleven students like it are left; of searches nothing is known, the teacher is there
    assert course.left() == Left(11 * 20.0, False)
    desk.begun(second.key)
    clock.now = 85.0
    assert course.left([desk]) == Left(11 * 20.0 - 5.0, False)
    course.ended(second, record(second, "failed"), desk)
    assert course.counts["failed"] == 1
    assert course.left() == Left(10 * 20.0, False)


@pytest.mark.parametrize("workers", [1, 4, 99])
def test_records_that_are_there_tell_how_long_the_rest_takes(
    workers: int, planned: list[Cell]
) -> None:
    done, todo = planned[:10], planned[10:]
    course = Course(planned, todo, map(record, done), works(planned), workers=workers)
    left = course.left()
    assert left is not None
    assert left.whole
    assert course.total == 10
    students = sum(cell.kind == "training" for cell in todo)
    # of records of the factory: 30 s of training, 1 s of stages; 3 s a search
    alone = 31.0 * students + 3.0 * (10 - students)
    # several workers share the rest as far as it can be shared
    assert left.seconds == pytest.approx(alone / min(workers, len({c.student for c in todo})))


# --- what is drawn -------------------------------------------------------------------------------


def busy(planned: list[Cell], count: int) -> list[Desk]:
    desks = []
    for cell in planned[:count]:
        desk = Desk(Clock())
        desk.begun(cell.key)
        desk.start(f"{cell.label}: epoch 1/3", 3301)
        desk.advance(640, {"soft": 0.5, "hard": 0.25})
        desks.append(desk)
    return desks


@pytest.fixture
def course(planned: list[Cell]) -> Course:
    made = Course(planned, planned, (), works(planned))
    for number, cell in enumerate(planned[:15]):
        made.ended(cell, record(cell, "failed" if number == 7 else "ok"))
    return made


def drawn(course: Course, desks: list[Desk], columns: int, rows: int) -> list[str]:
    console = Console(width=columns, height=rows, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(Screen(course, desks, clock=lambda: 2.0))
    return captured.get().splitlines()


@pytest.mark.parametrize("workers", [1, 3, 12])
@pytest.mark.parametrize("columns", [1, 2, 20, 40, 59, 60, 80, 250])
@pytest.mark.parametrize("rows", [2, 3, 6, 12, 24, 60])
def test_it_fits_the_terminal(
    workers: int, columns: int, rows: int, course: Course, planned: list[Cell]
) -> None:
    lines = drawn(course, busy(planned, workers), columns, rows)
    assert 0 < len(lines) < rows
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("columns", [45, 59, 100])
def test_it_says_what_is_done_what_is_left_and_what_is_under_way(
    columns: int, course: Course, planned: list[Cell]
) -> None:
    shown = "\n".join(drawn(course, busy(planned, 1), columns, 40))
    assert "15 done, 5 left, 1 failed" in shown
    assert re.search(r"\d+:\d\d elapsed, about \d+:\d\d left", shown)
    assert f"{planned[0].label}: epoch 1/3" in shown
    assert "640/3,301, 320" in shown  # 640 examples in two seconds
    assert columns < 59 or "0:08 left" in shown  # (3301 - 640) / 320 = 8.3 s
    assert columns < 100 or "soft 0.5000 hard 0.2500" in shown
    for method, retrieval in course.scores:
        assert re.search(rf"^{method} +{retrieval} .*(\d\d\.\d\d|-)", shown, re.M)


def test_many_workers_get_a_line_each_before_the_scores_do(
    course: Course, planned: list[Cell]
) -> None:
    shown = drawn(course, busy(planned, 12), 100, 20)
    for cell in planned[:12]:
        assert any(line.startswith(f" 19 % {cell.label}: epoch 1/3") for line in shown)


def test_of_scores_that_are_too_many_the_newest_are_shown(course: Course) -> None:
    shown = drawn(course, [], 100, 3 + 1 + 2 + 1)
    rows = [line for line in shown if re.search(r" (off|on) ", line)]
    assert [line.split()[:2] for line in rows] == [list(list(course.scores)[-1])]


# --- displays ------------------------------------------------------------------------------------


def in_terminal(columns: int = 80) -> Console:
    return Console(
        width=columns,
        height=30,
        force_terminal=True,
        force_interactive=True,
        record=True,
        soft_wrap=True,
        _environ={"TERM": "xterm"},
    )


def test_a_terminal_gets_a_view_everything_else_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(display(in_terminal()), LiveDisplay)
    assert isinstance(display(Console(width=80)), PlainDisplay)
    dumb = Console(force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(display(dumb), PlainDisplay)


def test_notes_scroll_above_the_view_and_the_view_goes(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    console = in_terminal()
    shown = LiveDisplay(console)
    desk = shown.desk()
    desk.note("before")
    shown.begin(course)
    desk.start("mrpc kd: epoch 1/2", 100)
    for number in range(5):
        desk.advance(20, {"soft": 0.1 * number})
        desk.note(f"note {number} " + "long " * 30)
    desk.finish()
    shown.close()
    shown.close()  # twice does no harm
    seen = Seen(80)
    written = capsys.readouterr().out.replace("\n", "\r\n")
    seen.write(written)
    assert "elapsed" in written
    assert "mrpc kd: epoch 1/2" in written
    assert "\x1b[?25l" in written
    assert seen.cursor
    lines = [line for line in seen.lines if line]
    assert lines[0] == "before"
    assert [line[:6] for line in lines if line.startswith("note")] == [
        f"note {number}" for number in range(5)
    ]
    assert not any("elapsed" in line or "epoch" in line for line in lines)


def test_outside_of_a_run_the_view_is_there_while_a_stage_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = Seen(80)

    def look() -> list[str]:
        seen.write(capsys.readouterr().out.replace("\n", "\r\n"))
        return [line for line in seen.lines if line]

    desk = display(in_terminal()).desk()
    desk.note("a")
    assert (look(), seen.cursor) == (["a"], True)
    desk.start("building", 10, "vectors")
    desk.note("b")
    assert look()[:3] == ["a", "b", "  building"]
    assert not seen.cursor
    desk.finish()
    desk.note("c")
    assert (look(), seen.cursor) == (["a", "b", "c"], True)


def test_lines_tell_a_stage_when_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(Console(width=80))
    clock = Clock()
    lines.clock = clock
    lines.start("train", 10, "rows")
    clock.now = 2.0
    lines.advance(8, {"soft": 0.5})
    lines.advance(2, {"hard": 0.25})
    lines.start("next", 5)
    lines.finish()
    found = capsys.readouterr().out.splitlines()
    assert found[0] == "  train: 10 rows in 2.0 s (5/s) soft 0.5000 hard 0.2500"
    assert len(found) == 2


# --- a real terminal -----------------------------------------------------------------------------


def test_a_run_in_a_narrow_terminal_leaves_its_lines_and_nothing_else(
    finished: Path, tmp_path: Path
) -> None:
    words = runs.arguments(finished, "--out", tmp_path / "out")
    with terminal(words, columns=50) as seen:
        assert seen.end() == 0
    assert "elapsed" in seen.output  # the view was there
    assert re.search(r"reaugkd +on +\d\d\.\d\d", seen.output)
    joined = "".join(seen.screen.lines)
    assert "elapsed" not in joined
    assert seen.screen.cursor
    for number in range(1, 6):
        assert f"[{number}/5" in joined
    assert "from the cache" in joined
    assert f"bench report {tmp_path / 'out'}" in joined
    assert runs.results(tmp_path / "out") == runs.results(finished / "out")


@pytest.mark.slow
def test_ctrl_c_gives_the_terminal_back_from_a_pool_whose_stages_were_seen(tmp_path: Path) -> None:
    long = ("--set", "teacher.recipe.epochs=900", "--set", "student.recipe.epochs=900")
    words = runs.arguments(tmp_path, *long, "--methods", "kd,finetune", "--max-workers", "2")
    with terminal(words, 100) as seen:
        # of both workers, whichever epoch is drawn first
        seen.wait_for("  mini-follows teacher: epoch ", "  mini-follows finetune seed 0: epoch ")
        seen.wait_for(" examples/s")
        seen.press(b"\x03")
        assert seen.end() == 130
    lines = [line for line in seen.screen.lines if line]
    assert lines[-1] == "error: interrupted; the same command resumes where it stopped"
    assert seen.screen.cursor
    assert not any("elapsed" in line for line in lines)
    assert "Traceback" not in seen.output
