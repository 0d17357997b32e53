"""Paths and files as people give them: ``~``, spaces, other letters, byte order marks."""

from __future__ import annotations

import codecs
from pathlib import Path
from shutil import copytree

import click
import pytest

from bench.cli.main import COMMANDS, main
from bench.config import DataConfig
from bench.settings import SettingError, assignment, check, read_file
from tests.bench import runs
from tests.bench.test_bad_input import told


def paths_of(command: click.Command) -> list[click.Parameter]:
    return [param for param in command.params if isinstance(param.type, click.Path)]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_path_of_every_command_expands_the_tilde(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x").touch()
    context = click.Context(main.get_command(click.Context(main), name) or main)
    for param in paths_of(context.command):
        param.type.file_okay, param.type.dir_okay = True, True  # type: ignore[attr-defined]
        assert param.type.convert("~/x", param, context) == tmp_path / "x", param.name


def test_a_run_below_home_is_written_found_and_reported(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a space and letters outside of ASCII in its path."""
    home = tmp_path / "hôme 漢"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    copytree(finished / "cache", home / "cache")
    done = runs.run(finished, "--cache=~/cache", "--out=~/a run")
    assert done.exit_code == 0, done.output
    assert runs.bench("report", "~/a run", "--out=~/re port").exit_code == 0
    assert (home / "re port" / "report.md").is_file()
    assert runs.bench("compare", "~/a run", finished / "out").exit_code == 0
    assert runs.bench("merge", "~/merged", "~/a run").exit_code == 0
    assert (home / "merged" / "cells").is_dir()
    assert not (tmp_path / "~").exists()


def test_settings_expand_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert check(DataConfig, {"dir": "~/glue", "hub": "~/hub"}).dir == Path("/home/me/glue")
    assert check(DataConfig, {"hub": "~/hub"}).hub == "/home/me/hub"
    assert check(DataConfig, {"hub": "org/name"}).hub == "org/name"


@pytest.mark.parametrize(
    "flags",
    ["--out=~nosuch/x", "--config=~nosuch/x", "--teacher=~nosuch/x", "--set data.dir=~nosuch/x"],
)
def test_the_home_of_nobody_is_one_line(flags: str, tmp_path: Path) -> None:
    told(runs.run(tmp_path, *flags.split()), "~nosuch/x", "no home folder ~nosuch")


def test_settings_of_windows_are_read(tmp_path: Path) -> None:
    """UTF-8 with a byte order mark, lines that end in CR LF."""
    path = tmp_path / "my.toml"
    path.write_bytes(codecs.BOM_UTF8 + b"seeds = [0, 1]\r\n[data]\r\nlimit = 5\r\n")
    assert read_file(path) == {"seeds": [0, 1], "data": {"limit": 5}}


def test_another_encoding_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("seeds = [0]", encoding="utf-16")
    with pytest.raises(SettingError, match=r"my\.toml is not valid TOML"):
        read_file(path)


@pytest.mark.parametrize("seed", ["-1", str(2**32), str(2**63), str(2**64), "1" * 400])
@pytest.mark.parametrize("name", ["seeds", "teacher.seed", "data.split_seed"])
def test_a_seed_beyond_32_bits_is_one_line(name: str, seed: str, tmp_path: Path) -> None:
    value = f"[{seed}]" if name == "seeds" else seed
    told(runs.run(tmp_path, "--set", f"{name}={value}"), name)


def test_the_largest_seed_is_planned(finished: Path) -> None:
    assert assignment(f"teacher.seed={2**32 - 1}") == {"teacher": {"seed": 2**32 - 1}}
    done = runs.run(finished, "--seeds", 2**32 - 1, "--dry-run")
    assert done.exit_code == 0, done.output
