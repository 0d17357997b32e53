"""Differences between a frozen report and one of today."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from tests.bench.report.frozen_changes import REVIEWED, Changes
from tests.bench.report.frozen_tables import FIGURES, TEXT, Row, Table, tables

RELATIVE = 1e-12
ABSOLUTE = 1e-15
"""A zero and what rounding leaves of one are the same figure."""
NOTES = " notes"
DOCUMENT, SENTENCES = "document", ("headline", "lead")
"""What JSON holds beside lists of rows, and the lists of sentences in it."""
SHOWN = ("md", "latex")
"""Formats that are read by people: nothing is added to them unsaid."""


def differences(
    frozen: Mapping[str, Any], now: Mapping[str, Any], changes: Changes = REVIEWED
) -> list[str]:
    """What differs, a line each; none if every frozen figure is there and nothing else is shown."""
    before = {_place(table): table for table in map(_Renaming(changes).table, tables(frozen))}
    after = {_place(table): table for table in tables(now)}
    lines: list[str] = []
    for place, table in before.items():
        if place in after:
            lines += _of_table(place, table, after[place], changes)
        elif not _said(changes.dropped, place):
            lines.append(f"{place}: is missing")
    for place in after.keys() - before.keys():
        if after[place].format in SHOWN and not _said(changes.added, place):
            lines.append(f"{place}: is new")
    return lines


def _place(table: Table) -> str:
    name = table.name
    if table.format == "latex":  # whose captions may be marked up in another way
        name = re.sub(r"[^a-z0-9]", "", name.lower())
    return f"{table.format}/{name}"


def _said(places: Mapping[str, str], place: str) -> bool:
    return any(fnmatchcase(place, pattern) for pattern in places)


class _Renaming:
    """Frozen tables under the names of today."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def table(self, table: Table) -> Table:
        if table.format in SHOWN:
            name, labels = self._title(table.name), table.labels or ()
            rename = {field: self._column(table.name, field) for field in _fields(table.rows)}
            labels = tuple(rename.get(label, label) for label in labels)
            table = replace(table, labels=labels)
        else:
            name = _by_prefix(self._changes.sections, table.name)
            rename = {field: self._field(table.name, field) for field in _fields(table.rows)}
        rows = tuple({rename[field]: value for field, value in row.items()} for row in table.rows)
        if table.name.endswith(NOTES):
            rows = tuple({TEXT: self._sentence(row[TEXT])} for row in rows)
        elif table.name == DOCUMENT:
            said = {name: [*map(self._sentence, rows[0].get(name, ()))] for name in SENTENCES}
            rows = ({name: said.get(name, value) for name, value in rows[0].items()},)
        return replace(table, name=name, rows=rows)

    def _title(self, title: str) -> str:
        title, notes = title.removesuffix(NOTES), title[len(title.removesuffix(NOTES)) :]
        titles = self._changes.titles
        base, bracket, rest = title.partition(" (")
        return titles.get(title, titles.get(base, base) + bracket + rest) + notes

    def _column(self, title: str, header: str) -> str:
        columns = self._changes.columns
        keys = (f"{title}/{header}", f"{title.partition(' (')[0]}/{header}", header)
        return next((columns[key] for key in keys if key in columns), header)

    def _field(self, section: str, field: str) -> str:
        fields = self._changes.fields
        placed = _by_prefix(fields, f"{section}/{field}")
        if placed != f"{section}/{field}":
            return placed
        return _by_prefix(fields, field)

    def _sentence(self, text: str) -> str:
        for before, after in self._changes.reworded.items():
            text = text.replace(before, after)
        return text


def _by_prefix(names: Mapping[str, str], name: str) -> str:
    """``name`` with the longest renamed part before one of its dots replaced."""
    for end in [len(name), *(dot.start() for dot in reversed([*re.finditer(r"\.", name)]))]:
        if name[:end] in names:
            return names[name[:end]] + name[end:]
    return name


def _fields(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(field for row in rows for field in row))


# --- one table -----------------------------------------------------------------------------------


def _of_table(place: str, before: Table, after: Table, changes: Changes) -> Iterator[str]:
    fields = [f for f in _fields(before.rows) if not _said(changes.dropped, f"{place}/{f}")]
    present = _fields(after.rows)
    for field in fields:
        if field not in present and after.rows:
            yield f"{place}/{field}: is missing"
    if before.format in SHOWN:
        for field in present:
            if field not in fields and not _said(changes.added, f"{place}/{field}"):
                yield f"{place}/{field}: is new"
    fields = [field for field in fields if field in present]
    free = _said(changes.reordered, place)
    if before.format in SHOWN and not free and fields != [f for f in present if f in fields]:
        yield f"{place}: columns are in another order"
    labels = [f for f in fields if before.labels is None or f in before.labels]
    if before.labels == ():
        labels = fields
    old = [_identity(row, labels) for row in before.rows]
    new = [_identity(row, labels) for row in after.rows]
    pairs = list(zip(before.rows, after.rows, strict=False))
    if len(old) != len(new):
        yield from _unpaired(place, old, new, changes)
        return
    if old != new and Counter(old) == Counter(new):
        if not free:
            yield f"{place}: rows are in another order"
        order_old = sorted(range(len(old)), key=old.__getitem__)
        order_new = sorted(range(len(new)), key=new.__getitem__)
        pairs = [(before.rows[i], after.rows[j]) for i, j in zip(order_old, order_new, strict=True)]
    for number, (row, other) in enumerate(pairs):
        for field in fields:
            if not _same(row.get(field), other.get(field), f"{place}/{field}", changes):
                where = f"{place}/{field}, row {number} {old[number][:200]}"
                yield f"{where}: {row.get(field)!r} became {other.get(field)!r}"


def _unpaired(
    place: str, old: Sequence[str], new: Sequence[str], changes: Changes
) -> Iterator[str]:
    missing, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
    sentences = place.endswith(NOTES)
    lines = [f"{place}: row {row[:300]} is missing" for row in missing.elements()]
    lines += [f"{place}: row {row[:300]} is new" for row in added.elements()]
    if sentences and _said(changes.added, place):
        lines = [line for line in lines if line.endswith("missing")]
    if sentences and _said(changes.dropped, place):
        lines = [line for line in lines if line.endswith("new")]
    yield from lines


def _identity(row: Row, labels: Sequence[str]) -> str:
    """What the row is of, as text; fractions are figures and never name it."""
    values = {label: _whole(row.get(label)) for label in labels}
    named = {label: value for label, value in values.items() if _names(value)}
    return json.dumps(named, ensure_ascii=False, sort_keys=True)


def _whole(value: Any) -> Any:
    """A frame holds whole numbers as floats where one of its rows has none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _names(value: Any) -> bool:
    if isinstance(value, list | dict):
        return all(map(_names, value.values() if isinstance(value, dict) else value))
    return not (isinstance(value, float) or value is None)


def _same(before: Any, after: Any, place: str, changes: Changes) -> bool:
    if place.endswith(f"/{FIGURES}") and _said(changes.added, place):
        remaining = iter(after)
        return all(figure in remaining for figure in before)
    return _equal(before, after)


def _equal(before: Any, after: Any) -> bool:
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and _equal(before[name], after[name]) for name in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_equal, before, after))
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, float) or isinstance(after, float):
        numbers = isinstance(before, int | float) and isinstance(after, int | float)
        return numbers and math.isclose(before, after, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(before == after)
