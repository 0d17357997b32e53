"""Laws of the project as a whole: versions, entry points, and which module may import what."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import resolve_name
from pathlib import Path
from pkgutil import resolve_name as load

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import reaugkd

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("reaugkd", "baselines", "bench")
ANN_LIBRARIES = {"annoy", "faiss", "hnswlib", "svs", "usearch", "voyager"}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in ROOT.glob(f"{package}/**/*.py")
)


def imports(nodes: list[ast.stmt], package: str) -> Iterator[str]:
    """Absolute names of the modules that ``nodes``, in a module of ``package``, import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield resolve_name("." * node.level + (node.module or ""), package)


def parse(module: str) -> tuple[ast.Module, str]:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"), filename=module)
    return tree, module.rpartition("/")[0].replace("/", ".")


def at_import_time(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, ``if TYPE_CHECKING`` blocks aside."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from at_import_time(node.orelse)
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from at_import_time(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from at_import_time(handler.body)


@pytest.mark.parametrize("module", MODULES)
def test_ann_libraries_are_imported_where_they_are_used(module: str) -> None:
    tree, package = parse(module)
    own = Path(module).stem if package == "reaugkd.retrieval.ann" else ""
    roots = {name.partition(".")[0] for name in imports(list(at_import_time(tree.body)), package)}
    assert not roots & ANN_LIBRARIES - {own}


@pytest.mark.parametrize("target", PROJECT["scripts"].values(), ids=PROJECT["scripts"])
def test_a_console_script_can_be_called(target: str) -> None:
    assert callable(load(target))


def test_the_command_line_starts_without_torch() -> None:
    heavy = "','.join({'torch', 'transformers'} & {*sys.modules})"
    code = f"import sys, bench.cli.main; sys.exit({heavy} or None)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_the_same_everywhere() -> None:
    assert reaugkd.__version__ == PROJECT["version"]
    assert version("reaugkd") == PROJECT["version"]
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_requirement_has_a_tested_version_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, number = line.partition("==")
            tested[canonicalize_name(name)] = number
    extras = PROJECT["optional-dependencies"].values()
    wanted = map(Requirement, [*PROJECT["dependencies"], *(text for e in extras for text in e)])
    for requirement in wanted:
        if requirement.name != PROJECT["name"]:
            assert tested[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_a_class_name_stands_for_one_class() -> None:
    names = Counter(
        node.name
        for module in MODULES
        for node in ast.walk(parse(module)[0])
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_place_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:bench|reaugkd|baselines)/[\w./-]*)`", text)
    assert len(places) > 30
    assert [place for place in places if not (ROOT / place).exists()] == []
