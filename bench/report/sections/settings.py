"""Every setting of a run: what its configuration says, and what each method used.

Two frames of text, a row per setting and task whose value differs, and a row per method and
setting. In JSON, settings stand as they are: nested, in ``run`` and in ``settings``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.records.results import Results
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.section import Column, Section, View
from bench.report.table import EMPTY

if TYPE_CHECKING:
    from pandas import DataFrame

Leaves = dict[str, str]


def of_methods(results: Results) -> list[dict[str, Any]]:
    """The settings of every method on every task as its records have them, each once."""
    distinct: list[dict[str, Any]] = []
    for record, _ in results.trained:
        names = ("task", "title", "method", "base", "settings")
        own = {name: getattr(record, name) for name in names}
        if own not in distinct:
            distinct.append(own)
    return distinct


def leaves(tree: Mapping[str, Any], above: str = "") -> Leaves:
    """Every value of a tree under its dotted path, as text.

    >>> leaves({"retrieval": {"k": [1, 8], "folds": 5}, "threads": None})
    {'retrieval.k': '1, 8', 'retrieval.folds': '5', 'threads': '–'}
    """
    flat: Leaves = {}
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
    config = run.get("config")
    if not isinstance(config, Mapping) or not config:
        return typed(())
    whole = leaves({"preset": run.get("preset"), **config})
    lines = [{"setting": path, "scope": "all", "value": value} for path, value in whole.items()]
    for task, own in (run.get("tasks") or {}).items():
        lines += [
            {"setting": path, "scope": str(task), "value": value}
            for path, value in (leaves(own) if isinstance(own, Mapping) else {}).items()
            if path != "tasks" and whole.get(path) != value
        ]
    return typed(sorted(lines, key=lambda line: line["setting"]))


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if len(frame):
        yield View(
            "Settings of the run",
            (
                Column("setting", "setting", label=True),
                Column("task", "scope", label=True),
                Column("value", "value", label=True),
            ),
            ("As run.json has them: defaults, preset, settings file and flags together.",),
        )


def _method_rows(inputs: RunInputs) -> DataFrame:
    """One row per method and setting; a value that differs between tasks names them."""
    settings = of_methods(inputs.results)
    lines = []
    for method in dict.fromkeys(one["method"] for one in settings):
        own = [one for one in settings if one["method"] == method]
        trees = [(one["title"], leaves(one["settings"])) for one in own]
        base = own[0]["base"]
        for path in dict.fromkeys(path for _, tree in trees for path in tree):
            by_task = [(title, tree.get(path, EMPTY)) for title, tree in trees]
            values = dict.fromkeys(value for _, value in by_task)
            if len(values) > 1:
                values = dict.fromkeys(f"{title} {value}" for title, value in by_task)
            name = method if base == method else f"{method} ({base})"
            value = "; ".join(values)
            lines.append({"method": method, "name": name, "setting": path, "value": value})
    return typed(lines)


def _method_views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if len(frame):
        yield View(
            "Settings of the methods",
            (
                Column("method", "name", label=True, keys=("method",)),
                Column("setting", "setting", label=True),
                Column("value", "value", label=True),
            ),
            ("As the records of the students have them; what is not set has its default.",),
        )


SECTION = Section("settings", "Settings", _rows, _views, about=True, page_only=True, data=False)
METHODS = Section(
    "method-settings",
    "Settings",
    _method_rows,
    _method_views,
    under="settings",
    about=True,
    page_only=True,
    data=False,
)
