"""docs/ is true where it can be asked: links, names of the reference, Python that stands there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

import reaugkd
from tests.bench import runs

DOCS = runs.ROOT / "docs"
REFERENCE = {
    name
    for page in sorted((DOCS / "api").glob("*.md"))
    for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.M)
}


def blocks(page: str) -> dict[str, str]:
    """The Python files of a page by the name in their first line."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return dict(re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.S))


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_what_the_reference_names_is_there_and_described(name: str) -> None:
    assert resolve_name(name).__doc__


def test_the_reference_has_all_that_is_exported() -> None:
    exported = {getattr(reaugkd, name) for name in reaugkd.__all__ if name != "__version__"}
    assert exported <= {resolve_name(name) for name in REFERENCE}


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\]\((\d{4}-.*?\.md)\)", (DOCS / "decisions/README.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in (DOCS / "decisions").glob("0*.md"))


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("python.md", ["quickstart.py", "edit.py"]),
        ("deploy.md", ["bank_mlflow.py", "save_mlflow.py", "bank_bento.py", "bank_litserve.py"]),
    ],
)
def test_python_of_the_pages_is_python(page: str, names: list[str]) -> None:
    found = blocks(page)
    assert list(found) == names
    for name, text in found.items():
        ast.parse(text, filename=name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_quickstart_works_as_it_stands(tmp_path: Path) -> None:
    environment = runs.environment() | {"REAUGKD_CACHE": str(tmp_path / "cache")}

    def output(name: str, text: str) -> list[str]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    quickstart, edit = (output(*file) for file in blocks("python.md").items())
    assert quickstart[0] == "card lost, card late"
    assert "with a share of 0.50" in quickstart[1]
    assert len(quickstart) == 2 + 4, "a line for each neighbour"
    assert edit == ["found"]
