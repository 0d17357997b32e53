"""The live view: what it says is so, it fits every terminal, and it leaves nothing behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console

from bench.plan import Planned
from bench.progress.board import OFF, ON, Board
from bench.progress.course import Course
from bench.progress.desk import Desk
from bench.progress.eta import SHARED, Left, Work
from bench.progress.lines import Lines, Plain, display
from bench.progress.live import ASCII, Live, Screen
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
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    """Two tasks, three methods, two seeds, two backends: 20 cells."""
    cache = tmp_path_factory.mktemp("plan")
    return runs.plan(cache, tasks=["tone", "follows"], seeds=[0, 1])


def record(one: Planned, status: str = "ok") -> Record:
    """Of a planned cell; each of its scores is another."""
    cell = one.cell
    value = SCORES[cell.method] + 0.01 * cell.seed + (0.05 if cell.task == "tone" else 0)
    if cell.kind == "training":
        made = factory.training(cell.task, cell.method, cell.seed, value)
    else:
        gain = 0.02 if cell.backend == "exact" else 0.5
        made = factory.retrieval(cell.task, cell.method, cell.seed, value, value + gain)
    made = made.model_copy(update={"key": cell.key})
    return made if status == "ok" else factory.failed(made, "why", status)


def works(planned: Sequence[Planned]) -> dict[str, Work]:
    """A student takes time like 100 rows, a search like 10."""
    return {
        p.cell.key: Work(p.cell.kind, p.cell.method, p.cell.task, 10.0)
        if p.cell.backend
        else Work("training", p.cell.method, p.cell.task, 100.0)
        for p in planned
    }


# --- the board -----------------------------------------------------------------------------------


def test_the_board_holds_the_mean_of_what_has_ended_whatever_its_order(
    planned: list[Planned],
) -> None:
    cells = [one.cell for one in planned]
    forth, back = Board(cells), Board(cells)
    titles = tuple(dict.fromkeys(record(one).title for one in planned))
    for one in planned:
        forth.add(record(one))
    for one in reversed(planned):
        back.add(record(one))
    for board in (forth, back):
        assert board.titles == titles
        assert [(row.method, row.retrieval) for row in board.rows] == [
            ("finetune", OFF),
            ("kd", OFF),
            ("reaugkd", OFF),
            ("reaugkd", ON),
        ]
        for row in board.rows:
            for title, task in zip(board.titles, ("tone", "follows"), strict=True):
                found = [
                    record(one)
                    for one in planned
                    if (one.cell.task, one.cell.method) == (task, row.method)
                    and one.cell.backend == (None if row.retrieval == OFF else "exact")
                ]
                values = [
                    r.retrieval.chosen.scores[r.tests[0]][r.select_on]
                    if r.retrieval
                    else r.training.scores[r.tests[0]][r.select_on]  # type: ignore[union-attr]
                    for r in found
                ]
                assert row.mean(title) == pytest.approx(fmean(values))
                assert len(row.scores[title]) == 2


def test_what_failed_was_skipped_or_asks_another_base_is_not_on_the_board(
    planned: list[Planned],
) -> None:
    board = Board([one.cell for one in planned])
    for one in planned:
        if one.cell.backend == "hnswlib":
            board.add(record(one))
        else:
            board.add(record(one, "failed" if one.cell.seed else "skipped"))
    assert (board.rows, board.titles) == ((), ())


# --- the course ----------------------------------------------------------------------------------


def test_the_course_counts_and_learns(planned: list[Planned]) -> None:
    clock = Clock()
    found = works(planned)
    teacher = Work(SHARED, "", "tone", 100.0)
    course = Course(planned, planned, (), found, [teacher], clock=clock)
    assert (course.total, course.done, course.left()) == (20, 0, None)
    desk = Desk(clock)
    students = [one for one in planned if one.cell.kind == "training"]
    first, second = students[0].cell, students[1].cell
    desk.begun(first.key)
    desk.artifact("teacher", False, 60.0)  # which others need too
    desk.artifact("student", False, 20.0)
    clock.now = 80.0
    course.ended(first, record(students[0]).model_copy(update={"seconds": 80.0}), desk)
    assert (course.done, course.counts["ok"], course.elapsed) == (1, 1, 80.0)
    # eleven students like it are left; of searches nothing is known, the teacher is there
    assert course.left() == Left(11 * 20.0, False)
    desk.begun(second.key)
    clock.now = 85.0
    assert course.left([desk]) == Left(11 * 20.0 - 5.0, False)
    course.ended(second, record(students[1], "failed"), desk)
    assert course.counts["failed"] == 1
    assert course.left() == Left(10 * 20.0, False)


def test_records_that_are_there_tell_how_long_the_rest_takes(planned: list[Planned]) -> None:
    done, todo = planned[:10], planned[10:]
    before = [record(one) for one in done]
    course = Course(planned, todo, before, works(planned))
    left = course.left()
    assert left is not None
    assert left.whole
    assert (course.there, course.total) == (10, 10)
    students = sum(one.cell.kind == "training" for one in todo)
    # of records of the factory: 30 s of training, 1 s of stages; 3 s a search
    assert left.seconds == pytest.approx(31.0 * students + 3.0 * (10 - students))
    assert len(course.board.rows) > 0


def test_several_workers_share_the_rest_as_far_as_it_can_be_shared(
    planned: list[Planned],
) -> None:
    done, todo = planned[:10], planned[10:]
    before = [record(one) for one in done]
    one, four, many = (
        Course(planned, todo, before, works(planned), workers=count).left() for count in (1, 4, 99)
    )
    assert one is not None
    assert four is not None
    assert many is not None
    assert four.seconds == pytest.approx(one.seconds / 4)
    students = len({p.cell.needs or p.cell.key for p in todo})
    assert many.seconds == pytest.approx(one.seconds / students)


# --- what is drawn -------------------------------------------------------------------------------


def busy(course: Course, planned: list[Planned], count: int) -> list[Desk]:
    desks = []
    for one in planned[:count]:
        desk = Desk(Clock())
        desk.begun(one.cell.key)
        desk.artifact("teacher", True, 0.1)
        desk.start(f"{one.cell.label}: epoch 1/3", 3301)
        desk.advance(640, {"soft": 0.5, "hard": 0.25})
        desks.append(desk)
    return desks


@pytest.fixture
def course(planned: list[Planned]) -> Course:
    made = Course(planned, planned, (), works(planned))
    for number, one in enumerate(planned[:15]):
        made.ended(one.cell, record(one, "failed" if number == 7 else "ok"))
    return made


@pytest.mark.parametrize("workers", [1, 3, 12])
@pytest.mark.parametrize("columns", [1, 2, 20, 40, 59, 60, 80, 250])
@pytest.mark.parametrize("rows", [2, 3, 6, 12, 24, 60])
def test_it_fits_the_terminal(
    workers: int, columns: int, rows: int, course: Course, planned: list[Planned]
) -> None:
    console = Console(width=columns, height=rows, force_terminal=True, color_system=None)
    screen = Screen(course, busy(course, planned, workers), clock=lambda: 2.0)
    lines = console.render_lines(screen, pad=False)
    assert 0 < len(lines) < rows
    for line in lines:
        assert sum(segment.cell_length for segment in line) <= columns


def text(screen: Screen, columns: int = 100, rows: int = 40) -> str:
    return "\n".join(line.plain for line in screen.lines(columns, rows - 1))


@pytest.mark.parametrize("columns", [40, 59, 100])
def test_it_says_what_is_done_what_is_left_and_what_is_under_way(
    columns: int, course: Course, planned: list[Planned]
) -> None:
    shown = text(Screen(course, busy(course, planned, 1), clock=lambda: 2.0), columns)
    assert "15 done, 5 left, 1 failed" in shown
    assert re.search(r"\d+:\d\d elapsed, about \d+:\d\d left", shown)
    assert planned[0].cell.label in shown
    assert "640/3,301, 320" in shown  # 640 examples in two seconds
    assert "0:08 left" in shown  # (3301 - 640) / 320 = 8.3 s
    assert "soft 0.5000 hard 0.2500" in shown
    for row in course.board.rows:
        assert re.search(rf"^{row.method} +{row.retrieval} .*(\d\d\.\d\d|-)", shown, re.M)


def test_many_workers_get_a_line_each_before_the_board_does(
    course: Course, planned: list[Planned]
) -> None:
    shown = text(Screen(course, busy(course, planned, 12), clock=lambda: 2.0), rows=20)
    for one in planned[:12]:
        assert f" 19 % {one.cell.label}: epoch 1/3" in shown


def test_of_a_board_that_is_too_high_the_newest_rows_are_shown(
    course: Course, planned: list[Planned]
) -> None:
    newest = max(course.board.rows, key=lambda row: row.changed)
    shown = text(Screen(course, [], clock=lambda: 2.0), rows=2 + 1 + 2 + 1)
    rows = [line for line in shown.splitlines() if re.search(r" (off|on) ", line)]
    assert len(rows) == 1
    assert rows[0].startswith(newest.method)


def test_a_terminal_without_unicode_gets_bars_of_its_own(course: Course) -> None:
    for line in Screen(course, [], clock=lambda: 2.0).lines(100, 40, ASCII):
        line.plain.encode("ascii")


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
    assert isinstance(display(in_terminal()), Live)
    assert isinstance(display(Console(width=80)), Plain)
    dumb = Console(force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(display(dumb), Plain)


def test_notes_scroll_above_the_view_and_the_view_goes(
    course: Course, planned: list[Planned], capsys: pytest.CaptureFixture[str]
) -> None:
    console = in_terminal()
    shown = Live(console)
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
