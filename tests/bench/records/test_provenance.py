"""Every record says where and with what it was made."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import reaugkd
from bench.records import provenance
from reaugkd import processor


def test_it_is_this_machine_this_moment_and_these_libraries() -> None:
    made = provenance.collect("bench run --k 1", (0.123, 1.0, 2.0), "cpu")
    assert made.command == "bench run --k 1"
    assert made.version == reaugkd.__version__
    assert made.load == [0.12, 1.0, 2.0]
    assert made.threads == torch.get_num_threads()
    assert made.cores == os.cpu_count()
    assert made.packages["torch"] == version("torch")
    assert set(made.packages) <= set(provenance.PACKAGES)
    assert (
        timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(made.time) < timedelta(hours=1)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells affinity and CPU flags")
def test_linux_tells_affinity_and_vector_extensions() -> None:
    made = provenance.collect("", (0, 0, 0), "auto")
    assert made.affinity == sorted(os.sched_getaffinity(0))
    assert made.cpu
    assert all(flag.startswith(processor.VECTOR_FLAGS) for flag in made.cpu_flags)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree of its own, which the package seems to run from."""
    (tmp_path / "reaugkd").mkdir()
    file = tmp_path / "reaugkd" / "__init__.py"
    file.write_text("")
    monkeypatch.setattr(reaugkd, "__file__", str(file))
    provenance.source_state.cache_clear()
    yield tmp_path
    provenance.source_state.cache_clear()


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", "-C", str(folder), *author, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_and_whether_it_has_changes(tree: Path) -> None:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    commit = git(tree, "rev-parse", "HEAD")
    assert provenance.source_state() == (commit[:12], False)
    provenance.source_state.cache_clear()
    (tree / "reaugkd" / "__init__.py").write_text("changed = True")
    (tree / "untracked").write_text("a result, say")
    assert provenance.source_state() == (commit[:12], True)


def test_an_installed_package_has_no_commit(tree: Path) -> None:
    assert provenance.source_state() == (None, None)
