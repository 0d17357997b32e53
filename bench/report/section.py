"""A section of a report: a typed frame, and how its tables show it.

How to add one stands in ``docs/report.md``. The frame is **long**: a row per task, method, index,
split, metric ... in full precision, with ``task`` (its name), ``title`` (how tables call it),
``method`` and ``seed`` or ``seeds`` as columns of their own. Views, titles and notes are made from
the whole frame, then rows are chosen: choosing changes what is shown, never what was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bench.report.frame import Row, rows
from bench.report.table import EMPTY, Table

if TYPE_CHECKING:
    from pandas import DataFrame

InputsT = TypeVar("InputsT", contravariant=True)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading; of a label also its name for ``--select`` and ``--group-by``.
        value: a field of the row (``on``, ``difference.low``), or what makes the value of it.
        show: the value as text; a missing one is a dash and never gets here.
        label: whether it tells which row this is, and is set left.
        at: (field, value) of the row of a line that it shows, in a view with ``by``.
        keys: fields whose values ``--select`` takes for this label beside the one shown.
    """

    title: str
    value: str | Callable[[Row], Any]
    show: Callable[[Any], str] = str
    label: bool = False
    at: tuple[str, Any] | None = None
    keys: tuple[str, ...] = ()

    def row(self, line: Row) -> Row | None:
        """The row that it shows of a line, given the first of it."""
        if self.at is None:
            return line
        name, value = self.at
        return next((row for row in line.group if value_of(row, name) == value), None)

    def of(self, line: Row) -> Any:
        """The value in a line of a table."""
        if (row := self.row(line)) is None:
            return None
        return value_of(row, self.value) if isinstance(self.value, str) else self.value(row)

    def cell(self, line: Row) -> str:
        """The text in a line of a table."""
        value = self.of(line)
        return EMPTY if value is None else self.show(value) or EMPTY


def value_of(row: Row, name: str) -> Any:
    """The value of a dotted field; None below a part that is missing.

    Raises:
        AttributeError: if rows have no such field.
    """
    value: Any = row
    for part in name.split("."):
        value = None if value is None else getattr(value, part)
    return value


def across(
    frame: DataFrame, field: str, value: str | Callable[[Row], Any], show: Callable[[Any], str]
) -> tuple[Column, ...]:
    """A column for every distinct value of ``field``, in the order of the rows."""
    titles = frame[field].dropna().drop_duplicates() if field in frame else ()
    return tuple(Column(str(title), value, show, at=(field, title)) for title in titles)


TASK = Column("task", "title", label=True, keys=("task",))
METHOD = Column("method", "method", label=True)
INDEX = Column("index", "index", label=True)
RETRIEVAL = Column("retrieval", "retrieval", label=True)


@dataclass(frozen=True)
class View:
    """A table of a frame; without rows it shows its notes.

    Attributes:
        columns: labels first.
        notes: sentences below it.
        where: which rows of the frame it shows; all by default.
        by: fields on which rows of one line of a pivot agree; a callable column sees the first
            row, ``row.group`` is all. None: every row is a line of its own.
    """

    title: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    where: Callable[[Row], bool] | None = None
    by: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[Column, ...]:
        """The columns that tell which row this is."""
        return tuple(column for column in self.columns if column.label)

    def lines(self, frame: DataFrame) -> list[Row]:
        """The first row of every line, with the others of it as ``group``."""
        groups: dict[Any, list[Row]] = {}
        for place, row in enumerate(rows(frame)):
            if self.where is None or self.where(row):
                # As text, for a list is no key.
                at = tuple(str(value_of(row, name)) for name in self.by) if self.by else place
                groups.setdefault(at, []).append(row)
        for group in groups.values():
            group[0].group = tuple(group)
        return [group[0] for group in groups.values()]

    def shown(self, lines: Sequence[Row]) -> list[Column]:
        """The columns that show anything of some lines: a pivot's may have lost its rows."""
        return [c for c in self.columns if not lines or any(map(c.row, lines))]

    def of(self, lines: Sequence[Row]) -> Table:
        """The table of some lines."""
        columns = self.shown(lines)
        cells = tuple(tuple(column.cell(line) for column in columns) for line in lines)
        titles = tuple(column.title for column in columns)
        return Table(self.title, titles, cells, len(self.labels), self.notes)

    def table(self, frame: DataFrame) -> Table:
        """The view of ``frame`` as strings, ready to be shown."""
        return self.of(self.lines(frame))

    def split(self, frame: DataFrame, label: Column) -> Iterator[View]:
        """One view per value of a label, which goes into the title unless it is the only one."""
        rest = tuple(column for column in self.columns if column is not label)

        def said(text: str) -> Callable[[Row], bool]:
            where = self.where or bool
            return lambda row: where(row) and label.cell(row) == text

        for text in dict.fromkeys(map(label.cell, self.lines(frame))):
            yield replace(
                self,
                title=f"{self.title}, {label.title} {text}",
                columns=self.columns if len(self.labels) == 1 else rest,
                where=said(text),
            )


@dataclass(frozen=True)
class Picture:
    """A picture: its values as a typed frame, and how they are drawn.

    Attributes:
        name: of its files and its anchor: lower case and ``-``.
        alt: what it shows, in a sentence or two, for whoever cannot see it.
        frame: what is drawn, a row per point; ``task`` and ``method`` are there for ``--select``.
        draw: makes the Vega-Lite specification of the rows that are left.
        notes: sentences below it.
    """

    name: str
    title: str
    alt: str
    frame: DataFrame
    draw: Callable[[DataFrame], Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """What makes a row again: a command ``line``, with other values for some of its flags.

    Attributes:
        only: flag -> its values; a flag without values stays as it is.
        what: the row in words.
    """

    line: str
    only: Mapping[str, Sequence[str]]
    what: str


@dataclass(frozen=True)
class Section(Generic[InputsT]):
    """A section of a report.

    Attributes:
        name: of its files, its anchor and for ``--select``: lower case and ``-``. With ``_`` it is
            the key of its rows in JSON.
        rows: the typed frame, in full precision.
        views: its tables; none where there is nothing to show.
        pictures: above the tables, of the whole frame.
        under: name of the section whose heading this one stands under.
        about: whether it is about the run instead of what was measured; shown last.
        page_only: whether only the page shows it.
        data: whether its rows are in JSON, CSV and Parquet.
        command: what makes a row again, where that is not the run held to its task and method.
        methods: those that a row needs, where that is not its ``method``.
        tidy: the file of ``--format tidy``, and what goes into it.
    """

    name: str
    title: str
    rows: Callable[[InputsT], DataFrame]
    views: Callable[[DataFrame, InputsT], Iterable[View]] = lambda *_: ()
    pictures: Callable[[DataFrame, InputsT], Iterable[Picture]] = lambda *_: ()
    under: str | None = None
    about: bool = False
    page_only: bool = False
    data: bool = True
    command: Callable[[Row], Command] | None = None
    methods: Callable[[Row], Sequence[str | None]] = lambda row: [getattr(row, "method", None)]
    tidy: tuple[str, Callable[[DataFrame], DataFrame]] | None = None

    @property
    def heading(self) -> str:
        """The name that ``--select`` and the files of its tables know it by."""
        return self.under or self.name
