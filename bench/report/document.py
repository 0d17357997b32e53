"""A report as values: its sentences, and its sections with frames, views and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.report.frame import plain, trees
from bench.report.section import Picture, Section, View
from bench.report.table import Table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Part:
    """A section as it is shown.

    Attributes:
        frame: the rows that are shown; of a report that nothing was chosen of, all.
        folder: of the measurements that it is of, in a report of something else.
    """

    section: Section[Any]
    frame: DataFrame
    views: tuple[View, ...]
    pictures: tuple[Picture, ...] = ()
    folder: str = ""

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The views as strings."""
        return tuple(view.table(self.frame) for view in self.views)

    @property
    def shown(self) -> bool:
        """Whether there is anything to see of it."""
        return bool(self.views or self.pictures)

    def titled(self, suffix: str) -> Part:
        """The part with ``suffix`` behind every title."""
        return replace(
            self,
            views=tuple(replace(shown, title=shown.title + suffix) for shown in self.views),
            pictures=tuple(replace(shown, title=shown.title + suffix) for shown in self.pictures),
        )


@dataclass(frozen=True, eq=False)
class Report:
    """A report.

    Attributes:
        title: names the run.
        headline: what was found, in a few sentences, before everything else.
        lead: sentences above the sections.
        parts: its sections, in the order they are shown; also those that are data only.
        about: what JSON holds besides the rows of sections; of a joined report, of its own folder.
        methods: of the run.
        backends: name of an index -> its backend, as settings name it.
        measured: name and report of each folder of measurements that is shown beside.
        unfinished: whether cells are still to come, of the run or of what is measured beside it.
    """

    title: str
    headline: tuple[str, ...]
    lead: tuple[str, ...]
    parts: tuple[Part, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    backends: Mapping[str, str] = field(default_factory=dict)
    measured: tuple[tuple[str, Report], ...] = ()
    unfinished: bool = False

    @property
    def shown(self) -> tuple[Part, ...]:
        """Parts with something to see outside of the page."""
        return tuple(part for part in self.parts if part.shown and not part.section.page_only)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those of all sections."""
        return tuple(table for part in self.shown for table in part.tables)

    @property
    def data(self) -> dict[str, Any]:
        """All of a whole report as strict JSON: a list of rows per section, and what is about."""
        data: dict[str, Any] = plain(dict(self.about))
        for part in self.parts:
            if part.section.data and not part.folder:
                data[part.section.name.replace("-", "_")] = trees(part.frame)
        if self.measured:
            data["measured"] = {name: report.data for name, report in self.measured}
        return data
