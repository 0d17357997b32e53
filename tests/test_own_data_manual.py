"""docs/your-own-data.md is true: its files and commands work as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import runs

TEXT = (runs.ROOT / "docs" / "your-own-data.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", TEXT, re.S))
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("bench ") and "google-bert" not in line  # which is on the hub
]


def test_the_manual_has_files_and_commands() -> None:
    assert list(FILES) == ["make.py", "ask.py", "learn.py", "bank.toml"]
    assert len(COMMANDS) == 5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_manual_works_as_it_stands(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = runs.environment() | {"REAUGKD_CACHE": str(tmp_path / "cache")}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("make.py")
    start = "from bench.cli.main import main; main(prog_name='bench')"
    for command in COMMANDS:
        _, *words = command.split()
        python("-c", start, *words)
    said = python("ask.py").splitlines()
    assert [line.rsplit(" ", 1)[0] for line in said] == ["card lost", "limits"]
    assert python("learn.py").splitlines() == ["card lost", "limits"]
