"""Where reports come from: the command line of a checkout, and the frozen copies.

The only file of these tests that knows how a report is made.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import pyarrow.parquet
from click.testing import CliRunner

from bench.cli.main import main

ROOT = Path(__file__).parents[3]
FROZEN = ROOT / "tests" / "golden" / "reports"
FORMATS = "md,tidy,csv,parquet,latex,json"
ENTRY = "from bench.cli.main import main; main()"

Files = dict[str, Any]
"""Path below the folder of the report -> text, rows of a Parquet file, or content of a JSON."""

COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **{
        Path(folder).name: ((folder,), ("report", Path(folder).name, "--format", FORMATS))
        for folder in (
            "results/banking77-condense",
            "results/banking77-condense-alone",
            "results/glue-minilm",
            "results/glue-minilm-retrieval",
            "results/glue-minilm-seeds",
            "results/latency",
            "results/latency-agreement",
            "results/latency-condensed",
            "results/memory",
            "results/mini",
            "results/mrpc-condense",
            "results/sst2-condense",
            "tests/golden/measured-schema-1",
            "tests/golden/run-schema-2",
        )
    },
    "mini-with-memory": (
        ("results/mini", "results/memory"),
        ("report", "mini", "--with", "memory", "--format", FORMATS),
    ),
    "compare-glue-minilm": (
        ("results/glue-minilm", "results/glue-minilm-seeds"),
        ("compare", "glue-minilm", "glue-minilm-seeds"),
    ),
}
"""Name of a frozen report -> folders of the repository, and words after ``bench``."""


def files_of(name: str, work: Path, checkout: Path = ROOT) -> Files:
    """The files of the report ``name``, made in the empty folder ``work`` by ``checkout``.

    The checkout of this process makes it here, another one in a process of its own.
    The runs are copied: nothing is written beside what is committed, and no figure can hold the
    folder of a machine.
    """
    folders, words = COMMANDS[name]
    for folder in folders:
        copytree(ROOT / folder, work / Path(folder).name)
    words = (*words, "--out", "out")
    code, errors = (_here if checkout == ROOT else partial(_there, checkout))(words, work)
    if code:
        raise RuntimeError(f"bench {' '.join(words)}: exit code {code}\n{errors}")
    return _read(work / "out")


def _here(words: Sequence[str], work: Path) -> tuple[int, str]:
    with chdir(work):
        done = CliRunner().invoke(main, [*words], prog_name="bench")
    if isinstance(done.exception, Exception):
        raise done.exception
    return done.exit_code, done.stderr


def _there(checkout: Path, words: Sequence[str], work: Path) -> tuple[int, str]:
    command = [sys.executable, "-c", ENTRY, *words]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def frozen(name: str) -> Files:
    """The frozen copy of the report ``name``."""
    content: Files = json.loads(lzma.decompress(_path(name).read_bytes()))
    return content


def freeze(name: str, files: Mapping[str, Any]) -> Path:
    """Write a frozen copy; equal files give equal bytes."""
    text = json.dumps(files, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    path = _path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    return path


def _path(name: str) -> Path:
    return FROZEN / f"{name}.json.xz"


def _read(folder: Path) -> Files:
    """Whatever holds figures below ``folder``."""
    readers = {
        ".md": Path.read_text,
        ".csv": Path.read_text,
        ".tex": Path.read_text,
        ".json": lambda path: json.loads(path.read_bytes()),
        ".parquet": lambda path: pyarrow.parquet.read_table(path).to_pylist(),
    }
    paths = sorted(path for path in folder.rglob("*") if path.suffix in readers)
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    return {
        name: readers[path.suffix](path)
        for path, name in names.items()
        if not name.startswith(".") and path.name != "all.tex"
    }
