"""Printing takes nothing with it: neither a file nor an exit code depends on who reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import NoReturn

import pytest

from bench.cli.main import main
from bench.cli.streams import make_safe
from tests.bench import runs

FILES = ("report.md", "results.csv", "results.json", "report.html")


def put(monkeypatch: pytest.MonkeyPatch, name: str, file: int, encoding: str) -> io.TextIOWrapper:
    """A stream over the descriptor ``file`` as the process's own ``name``."""
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(file, "w")), encoding=encoding)
    monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(sys, f"__{name}__", stream)
    return stream


def exit_code(*words: object) -> object:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words], prog_name="bench")
    sys.stdout.flush()
    return ended.value.code


def report(run: Path, out: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    start = "from bench.cli.main import main; main(prog_name='bench')"
    return subprocess.run(
        [sys.executable, "-c", start, "report", str(run), "--out", str(out)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(runs.ROOT), **variables},
    )


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gbk", "ascii"])
def test_what_an_encoding_lacks_is_a_question_mark(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "printed"
    put(monkeypatch, "stdout", os.open(path, os.O_WRONLY | os.O_CREAT), encoding)
    make_safe()
    sys.stdout.write("κ → ±0.5 \ud800 € 漢\n")
    sys.stdout.flush()
    text = path.read_bytes().decode(encoding)
    assert "0.5" in text
    assert "?" in text


@pytest.mark.slow
def test_a_report_in_a_narrow_encoding_leaves_the_same_files(
    finished: Path, tmp_path: Path
) -> None:
    wide, narrow = (
        report(finished / "out", tmp_path / name, PYTHONIOENCODING=name)
        for name in ("utf-8", "latin-1")
    )
    assert (wide.returncode, narrow.returncode) == (0, 0), narrow.stderr
    assert b"Traceback" not in narrow.stderr
    for name in FILES[:2]:
        files = [tmp_path / encoding / name for encoding in ("utf-8", "latin-1")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert all((tmp_path / "latin-1" / name).is_file() for name in FILES)
    assert narrow.stdout.count(b"\n") == wide.stdout.count(b"\n")


@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_leaves_changes_neither_exit_code_nor_files(
    gone: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = finished / "out", tmp_path / "other"
    copytree(run, other)
    reading, writing = os.pipe()
    os.close(reading)
    put(monkeypatch, gone, writing, "utf-8")
    assert exit_code("report", run, "--out", tmp_path / "out") == 0
    assert all((tmp_path / "out" / name).is_file() for name in FILES)
    assert exit_code("compare", run, other, "--out", tmp_path / "compared") == 0
    assert len(list((tmp_path / "compared").iterdir())) == 3
    assert exit_code("ls") == 0
    assert exit_code("report", tmp_path / "nothing") == 2
    assert exit_code(*runs.arguments(finished, "--dry-run")) == 0


@pytest.mark.parametrize("command", ["report", "compare"])
def test_files_are_written_before_anything_is_printed(
    command: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str) -> NoReturn:
        raise ZeroDivisionError

    copytree(finished / "out", tmp_path / "run")
    names = [tmp_path / "run", finished / "out"][: 2 if command == "compare" else 1]
    monkeypatch.setattr(f"bench.cli.{command}.echo", broken)
    failed = runs.bench(command, *names, "--out", tmp_path / "out")
    assert isinstance(failed.exception, ZeroDivisionError)
    assert len(list((tmp_path / "out").glob("*.*"))) >= 3
