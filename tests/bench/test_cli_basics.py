"""Laws of the command line as a whole: what it imports, how mistakes end, what it lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from baselines import METHODS
from bench.cli import ls
from bench.cli.main import COMMANDS, main
from bench.report.render import terminal
from bench.report.table import Table
from reaugkd.errors import DataError, UserError
from reaugkd.registry import Entry, Registry
from reaugkd.retrieval.ann import BACKENDS
from reaugkd.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
Install = Callable[[BaseException | int], None]
HEAVY = (
    "torch",
    "pandas",
    "transformers",
    "datasets",
    "sklearn",
    "scipy",
    "faiss",
    "fastapi",
    "uvicorn",
)


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="bench")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a subcommand ``probe`` in place that raises, or returns an exit code."""

    def install(outcome: BaseException | int) -> None:
        @click.command()
        def probe() -> int:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(COMMANDS, "_entries", {"probe": Entry(f"{__name__}:probe", "")})
        monkeypatch.setattr(Registry, "__getitem__", lambda *_: probe)

    return install


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--help", 0),
        ("", 0),
        ("--version", 0),
        ("ls", 0),
        ("report --help", 0),
        ("run --set kd.temperature=-1", 2),
        ("run --preset glue-minilm --tasks mrpc --data-dir /no/such/glue", 2),
        ("run --ann hnswlib:M=0", 2),
        ("export --task tonne --to /no/such/folder", 2),
        ("submit /no/such/run", 2),
        ("submit --check /no/such/folder", 2),
        ("serve /no/such/folder", 2),
    ],
)
def test_a_question_and_a_mistake_are_answered_at_once_and_without_heavy_imports(
    arguments: str, code: int
) -> None:
    program = (
        "import atexit, json, sys\n"
        f"heavy = set({HEAVY!r})\n"
        "atexit.register(lambda: print(json.dumps(sorted(heavy & {*sys.modules})), "
        "file=sys.stderr))\n"
        "from bench.cli.main import main\n"
        f"main({arguments.split()!r}, prog_name='bench')\n"
    )
    began = os.times()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    ended = os.times()  # of the processor: other work on the machine is not our slowness
    *error, modules = done.stderr.splitlines()
    assert (done.returncode, json.loads(modules)) == (code, [])
    assert done.stdout if code == 0 else error
    took = ended.children_user + ended.children_system
    assert took - began.children_user - began.children_system < (0.5 if code == 0 else 1.2)


def test_without_arguments_it_shows_its_help() -> None:
    assert bench().output == bench("--help").output == bench("-h").output
    assert all(name in bench().output for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ("unknown command 'rnu'", "'run'")),
        (["--versoin"], ("--versoin", "--version")),
        (["ls", "--verbos"], ("--verbos", "--verbose", "bench ls --help")),
        (["ls", "metods"], ("unknown list 'metods'", "'methods'")),
        (["ls", "ann", "more"], ("more",)),
        (["report", "nowhere/at/all"], ("nowhere/at/all",)),
    ],
)
def test_a_mistake_is_one_line_on_stderr_that_names_what_was_meant(
    arguments: list[str], words: tuple[str, ...]
) -> None:
    done = bench(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)


@pytest.mark.parametrize("kind", [UserError, DataError])
def test_a_user_error_in_a_subcommand_is_one_line(kind: type[UserError], command: Install) -> None:
    command(kind("first line\nsecond line"))
    done = bench("probe")
    assert (done.exit_code, done.stderr) == (2, "error: first line second line\n")


def test_a_defect_shows_its_traceback(command: Install) -> None:
    command(ZeroDivisionError("ours"))
    assert isinstance(bench("probe").exception, ZeroDivisionError)


def test_ctrl_c_says_that_the_same_command_resumes(
    command: Install,
) -> None:
    command(KeyboardInterrupt())
    done = bench("probe")
    assert done.exit_code == 130
    assert done.stderr.strip() == "error: interrupted; the same command resumes where it stopped"


@pytest.mark.parametrize("code", [0, 1, 3])
def test_what_a_subcommand_returns_is_the_exit_code(code: int, command: Install) -> None:
    command(code)
    assert bench("probe").exit_code == code


def test_options_may_be_written_with_underscores_and_commands_in_capitals() -> None:
    assert bench("LS", "ann").output == bench("ls", "ann").output
    assert bench("run", "--dry_run", "--help").exit_code == 0


@pytest.mark.parametrize(
    ("what", "names"), [("methods", METHODS), ("tasks", TASKS), ("ann", BACKENDS)]
)
def test_a_list_has_one_line_per_name(what: str, names: Registry[object]) -> None:
    lines = bench("ls", what).output.splitlines()[2:]
    assert [line.split()[0] for line in lines if line.strip()] == list(names)


def test_without_an_argument_every_list_is_shown() -> None:
    assert bench("ls").output == "".join(bench("ls", name).output for name in ls.LISTS)


def test_verbose_lists_every_setting_with_default_and_source() -> None:
    output = bench("ls", "methods", "--verbose").output
    for method in METHODS:
        for name in METHODS[method].Settings.model_fields:
            assert f"{method}.{name}" in output
    row = next(line for line in output.splitlines() if line.startswith("kd.temperature"))
    assert all(part in row for part in ("2.0", "> 0, <= 100", "AD-KD"))


def test_what_is_not_installed_comes_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reaugkd.registry.find_spec", lambda _: None)
    rows = {row[0]: row[1] for row in ls.LISTS["ann"]().rows}
    assert rows["exact"] == "yes"
    assert rows["annoy"] == "pip install 'reaugkd[annoy]'"


def test_output_in_a_pipe_is_plain() -> None:
    output = bench("ls").output
    assert "\x1b" not in output
    assert not set(output) & set("─│━┃")
    faiss = next(line for line in output.splitlines() if line.startswith("faiss"))
    assert faiss.rstrip().endswith(BACKENDS.entry("faiss").summary)  # neither folded nor cut


def test_brackets_in_a_cell_are_not_markup() -> None:
    console = Console(width=80)
    with console.capture() as shown:
        for part in terminal.render(Table("t", ("name",), (("reaugkd[annoy]",),))):
            console.print(part)
    assert "reaugkd[annoy]" in shown.get()
