"""Every setting of a run: what its configuration says, and what each method used.

Two frames of text, a row per setting and task whose value differs, and a row per method and
setting. In JSON, settings stand as they are: nested, in ``run`` and in ``settings``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pandas import DataFrame

from bench.records.results import Results
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.section import Column, Section
from bench.report.sections.plain import grouped, labels, one_table
from bench.report.table import EMPTY


def of_methods(results: Results) -> list[dict[str, Any]]:
    """The settings of every method on every task as its records have them, each once."""
    distinct: list[dict[str, Any]] = []
    for record, _ in results.trained:
        names = ("task", "title", "method", "base", "settings")
        facts = {name: getattr(record, name) for name in names}
        if facts not in distinct:
            distinct.append(facts)
    return distinct


def leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Every value of a tree under its dotted path, as text.

    >>> leaves({"retrieval": {"k": [1, 8], "folds": 5}, "threads": None})
    {'retrieval.k': '1, 8', 'retrieval.folds': '5', 'threads': '–'}
    """
    flat: dict[str, str] = {}
    for name, value in tree.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping) and value:
            flat |= leaves(value, path)
        else:
            flat[path] = text(value)
    return flat


def text(value: Any) -> str:
    """A value that is no table.

    >>> text(None), text(False), text([1.0, "a"]), text({})
    ('–', 'false', '1.0, a', '–')
    """
    if value is None or value in ([], {}, ()):
        return EMPTY
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _rows(inputs: RunInputs) -> DataFrame:
    """Settings by name; that of a task stands below that of all where it is another."""
    run = inputs.results.run
    if not (config := run.get("config")):
        return typed(())
    whole = leaves({"preset": run.get("preset"), **config})
    lines = [("all", *pair) for pair in whole.items()]
    for task, of_task in (run.get("tasks") or {}).items():
        differing = leaves(of_task).items() - whole.items()
        lines += [(task, *pair) for pair in sorted(differing) if pair[0] != "tasks"]
    return typed(
        {"setting": path, "scope": scope, "value": value}
        for scope, path, value in sorted(lines, key=lambda line: line[1])
    )


def _method_rows(inputs: RunInputs) -> Iterator[dict[str, str]]:
    """One row per method and setting; a value that differs between tasks names them."""
    by_method = grouped((record["method"], record) for record in of_methods(inputs.results))
    for method, records in by_method.items():
        base = records[0]["base"]
        trees = [(record["title"], leaves(record["settings"])) for record in records]
        for path in dict.fromkeys(path for _, tree in trees for path in tree):
            by_task = [(title, tree.get(path, EMPTY)) for title, tree in trees]
            values = dict.fromkeys(value for _, value in by_task)
            if len(values) > 1:
                values = dict.fromkeys(f"{title} {value}" for title, value in by_task)
            yield {
                "method": method,
                "name": method if base == method else f"{method} ({base})",
                "setting": path,
                "value": "; ".join(values),
            }


COLUMNS = (*labels("setting"), Column("task", "scope", label=True), *labels("value"))
NOTE = "As run.json has them: defaults, preset, settings file and flags together."
METHOD_COLUMNS = (
    Column("method", "name", label=True, keys=("method",)),
    *labels("setting", "value"),
)
METHOD_NOTE = "As the records of the students have them; what is not set has its default."

SECTION = Section(
    "settings",
    "Settings",
    _rows,
    one_table("Settings of the run", COLUMNS, (NOTE,)),
    about=True,
    page_only=True,
    data=False,
)
METHODS = Section(
    "method-settings",
    "Settings",
    lambda inputs: typed(_method_rows(inputs)),
    one_table("Settings of the methods", METHOD_COLUMNS, (METHOD_NOTE,)),
    under="settings",
    about=True,
    page_only=True,
    data=False,
)
