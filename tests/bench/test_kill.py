"""Killed at any moment, the same command ends with the records of a run that was left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.records.run import comparable
from tests.bench import runs

PATIENCE = 120.0
"""Seconds to wait for a process on a busy machine."""


@contextmanager
def started(folder: Path, *more: object) -> Iterator[subprocess.Popen[str]]:
    """The small matrix in a process group of its own; nothing of it is left behind."""
    # A shell has its background jobs ignore Ctrl-C, and a child inherits that: not here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        runs.command(folder, *more),
        env=runs.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read its output up to a line with ``words``."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}")


MOMENTS = (
    "teacher: epoch 1, held-out",  # in training the teacher, a checkpoint is there
    "teacher signals: fit",  # in caching
    "hnswlib: building the index",  # in writing the index and the record
)


@pytest.mark.slow
def test_killed_three_times_the_same_command_ends_the_same(finished: Path, tmp_path: Path) -> None:
    for moment in MOMENTS:
        with started(tmp_path) as process:
            wait_for(process, moment)
            process.kill()
            assert process.wait(PATIENCE) == -signal.SIGKILL
    whole, half = runs.records(finished / "out"), runs.records(tmp_path / "out")
    assert 2 <= len(half) < 5
    assert all(comparable(one) == comparable(whole[name]) for name, one in half.items())
    shown = runs.bench("report", tmp_path / "out")  # of what has ended
    assert shown.exit_code == 0
    assert "not run yet" in shown.output
    done = runs.run(tmp_path)
    assert done.exit_code == 0, done.output
    assert "5 cells (3 training, 2 retrieval), " in done.output
    assert "0 there already" not in done.output
    assert runs.results(tmp_path / "out") == runs.results(finished / "out")


class Stopped(BaseException):
    """Stands for a kill between two writes."""


@pytest.mark.slow
def test_stopped_again_and_again_before_a_write_it_ends_the_same(
    finished: Path, tmp_path: Path
) -> None:
    """Each attempt completes one more rename, the moment when a file or folder appears."""
    rename, replace = Path.rename, Path.replace
    flags = ("--methods", "kd,reaugkd", "--ann", "hnswlib")
    attempts, left = 0, 0

    def limited(original):  # type: ignore[no-untyped-def]
        def write(self: Path, target: Path) -> Path:
            nonlocal left
            if "run.json" in str(target):  # written first by every attempt
                return original(self, target)
            if left == 0:
                raise Stopped
            left -= 1
            return original(self, target)

        return write

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", limited(rename))
        patch.setattr(Path, "replace", limited(replace))
        while True:
            left = attempts = attempts + 1
            try:
                done = runs.run(tmp_path, *flags)
                break
            except Stopped:
                continue
    assert done.exit_code == 0, done.output
    assert attempts > 3
    expected = runs.results(finished / "out")
    assert runs.results(tmp_path / "out") == {
        name: one
        for name, one in expected.items()
        if name in ("kd", "reaugkd", "reaugkd hnswlib projected soft")
    }


def interrupted(process: subprocess.Popen[str], term: bool = False) -> None:
    """Ctrl-C, as a terminal sends it, to the whole process group; or TERM to the command alone."""
    if term:
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert errors.strip() == "error: interrupted; the same command resumes where it stopped"
    assert "Traceback" not in output


def test_ctrl_c_is_one_line_and_the_same_command_resumes(finished: Path, tmp_path: Path) -> None:
    with started(tmp_path) as process:
        wait_for(process, "teacher: epoch 1, held-out")
        interrupted(process)
    done = runs.run(tmp_path)
    assert done.exit_code == 0
    assert "1 there already, 4 left" in done.output
    assert "teacher: epoch 1/" not in done.output  # it goes on from the checkpoint
    assert runs.results(tmp_path / "out") == runs.results(finished / "out")


@pytest.mark.slow
@pytest.mark.parametrize("term", [False, True])
def test_ctrl_c_and_term_end_a_pool_at_once_and_without_a_word(term: bool, tmp_path: Path) -> None:
    long = ("--set", "teacher.recipe.epochs=900", "--methods", "kd,reaugkd")
    with started(tmp_path, *long, "--max-workers", 2) as process:
        deadline = time.monotonic() + PATIENCE
        while not list((tmp_path / "cache").glob("teacher/*.work/scratch")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        interrupted(process, term)  # its output ends only when no worker holds it any more
