"""Every setting of a run as tables: what the configuration says, and what each method used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bench.report.results import Results
from bench.report.table import EMPTY, Table

Leaves = dict[str, str]


def of_methods(results: Results) -> list[dict[str, Any]]:
    """The settings of every method on every task as its records have them, each once."""
    found: list[dict[str, Any]] = []
    for record, _ in results.trained:
        one = {
            "task": record.task,
            "title": record.title,
            "method": record.method,
            "base": record.base,
            "settings": record.settings,
        }
        if one not in found:
            found.append(one)
    return found


def tables(data: Mapping[str, Any]) -> tuple[Table, ...]:
    """The settings in the data of a report; none where it has none."""
    made = (_of_run(data.get("run") or {}), _of_methods(data.get("settings") or []))
    return tuple(table for table in made if table is not None)


def leaves(tree: Mapping[str, Any], above: str = "") -> Leaves:
    """Every value of a tree under its dotted path, as text.

    >>> leaves({"retrieval": {"k": [1, 8], "folds": 5}, "threads": None})
    {'retrieval.k': '1, 8', 'retrieval.folds': '5', 'threads': '–'}
    """
    found: Leaves = {}
    for name, value in tree.items():
        path = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping) and value:
            found |= leaves(value, path)
        else:
            found[path] = text(value)
    return found


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


def _of_run(run: Mapping[str, Any]) -> Table | None:
    config = run.get("config")
    if not isinstance(config, Mapping) or not config:
        return None
    whole = leaves({"preset": run.get("preset"), **config})
    rows = [(path, "all", value) for path, value in whole.items()]
    for task, own in (run.get("tasks") or {}).items():
        if isinstance(own, Mapping):
            different = {path: value for path, value in leaves(own).items() if path != "tasks"}
            rows += [
                (path, str(task), value)
                for path, value in different.items()
                if whole.get(path) != value
            ]
    rows.sort(key=lambda row: row[0])
    notes = ("As run.json has them: defaults, preset, settings file and flags together.",)
    return Table("Settings of the run", ("setting", "task", "value"), tuple(rows), 3, notes)


def _of_methods(found: Iterable[Mapping[str, Any]]) -> Table | None:
    rows = tuple(_rows(list(found)))
    notes = ("As the records of the students have them; what is not set has its default.",)
    columns = ("method", "setting", "value")
    return Table("Settings of the methods", columns, rows, len(columns), notes) if rows else None


def _rows(found: list[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """One row per method and setting; a value that differs between tasks names them."""
    for method in dict.fromkeys(one["method"] for one in found):
        own = [one for one in found if one["method"] == method]
        trees = [(one["title"], leaves(one["settings"])) for one in own]
        base = own[0]["base"]
        name = method if base == method else f"{method} ({base})"
        for path in dict.fromkeys(path for _, tree in trees for path in tree):
            by_task = [(title, tree.get(path, EMPTY)) for title, tree in trees]
            distinct = dict.fromkeys(value for _, value in by_task)
            told = "; ".join(dict.fromkeys(f"{title} {value}" for title, value in by_task))
            yield name, path, next(iter(distinct)) if len(distinct) == 1 else told
