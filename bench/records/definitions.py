"""Fingerprint of the definitions in source files, wherever they stand.

Part of what decides a figure: another query path has another latency. Whoever moves, splits, joins
or formats files, or words a docstring anew, has not changed what is timed
(docs/decisions/0015-code-of-a-measurement.md).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import reaugkd
from reaugkd.artifacts import fingerprint

PACKAGES = frozenset({"reaugkd", "baselines", "bench"})


@cache
def of_files(*patterns: str) -> str:
    """Fingerprint of all definitions in the files of this project that ``patterns`` name.

    Args:
        patterns: paths from the root of the project, or globs.

    Raises:
        FileNotFoundError: for a pattern that names no file: it would guard nothing.
    """
    root = Path(reaugkd.__file__).parents[1]
    paths = {pattern: sorted(root.glob(pattern)) for pattern in patterns}
    for pattern, matches in paths.items():
        if not matches:
            raise FileNotFoundError(f"no source file {root / pattern}")
    return of_sources(path.read_text(encoding="utf-8") for path in chain(*paths.values()))


def of_sources(texts: Iterable[str]) -> str:
    r"""Fingerprint of the definitions in source texts; neither their order nor files matter.

    >>> of_sources(["import math\nA = 1\ndef f(): 'Words.'; return A"]) == of_sources(
    ...     ["def f() -> int:\n    return A", "A = 1  # why"])
    True
    """
    return fingerprint.of_texts(sorted(part for text in texts for part in _definitions(text)))


def _definitions(text: str) -> Iterator[str]:
    """Every function, class and assignment at the top of a source text, in normal form.

    Without imports, annotations of functions, docstrings and comments; what is reached through an
    imported module of ours, whose name is in lower case, goes by its own name.
    """
    tree = ast.parse(text)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            names |= {alias.asname or alias.name for alias in node.names}
    normal = _Normal({name for name in names if name.islower()})
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign):
            yield ast.unparse(normal.visit(node))


class _Normal(ast.NodeTransformer):
    def __init__(self, modules: set[str]) -> None:
        self._modules = modules

    def visit_Import(self, node: ast.AST) -> None:
        return None

    def visit_ImportFrom(self, node: ast.AST) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            return ast.Name(node.attr, node.ctx)
        return self.generic_visit(node)
