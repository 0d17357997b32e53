"""Reviewed changes of reports since they were frozen.

Every entry is a decision that a user sees; the changelog says it too. A figure is never changed
here: what has another value is a defect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Changes:
    """What may differ from a frozen report.

    A *place* is ``format/table`` or ``format/table/field``, where the format is ``md``, ``latex``,
    ``csv``, ``parquet`` or ``json``; keys that are places may hold ``*`` and ``?``.

    Attributes:
        titles: title of a table in Markdown and LaTeX -> its title now. What follows it in
            brackets stays.
        columns: header, or ``title/header``, with the frozen title -> header now.
        sections: file of CSV and Parquet without its ending, or path of a list in the JSON data
            (or of what holds such lists) -> its name now.
        fields: field, or ``section/field``, with the frozen section -> field now; a prefix that
            ends before a dot is renamed in all fields that begin with it.
        reworded: part of a sentence -> how it reads now.
        added: place of a table, a column or a sentence that is new -> reason. Data may have new
            fields and lists without being named here.
        dropped: place that is no more -> reason.
        reordered: place whose rows or columns are in another order -> reason.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    reworded: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    reordered: Mapping[str, str] = field(default_factory=dict)


RENAMED_TITLES: dict[str, str] = {}
RENAMED_COLUMNS: dict[str, str] = {}
RENAMED_SECTIONS: dict[str, str] = {}
RENAMED_FIELDS: dict[str, str] = {}
_MRPC, _SST2 = "reaugkd-no-self", "kd with exact, projected keys, soft values"
REWORDED: dict[str, str] = {  # two students that tie are both named
    f"{_MRPC} scores highest, 71.08 (1 seed), +": (
        f"{_MRPC} and {_MRPC} with exact, projected keys, soft values tie for the highest score, "
        f"71.08 (1 seed); {_MRPC} +"
    ),
    f"{_SST2} scores highest, 82.45 (1 seed), +": (
        f"{_SST2} and reaugkd-tau-1 with exact, projected keys, soft values tie for the highest "
        f"score, 82.45 (1 seed); {_SST2} +"
    ),
}
_NOTES = (
    "a comparison of runs has the sentences of a comparison of methods, with its number of tests"
)
ADDED: dict[str, str] = {"md/Differences from glue-minilm notes": _NOTES}
DROPPED: dict[str, str] = {"md/Differences from glue-minilm notes": _NOTES}
REORDERED: dict[str, str] = {
    f"{place}memory": "data has the order of the table: smallest first, exact before the others"
    for place in ("json/", "json/measured.*.", "csv/tables/", "parquet/tables/")
}

REVIEWED = Changes(
    titles=RENAMED_TITLES,
    columns=RENAMED_COLUMNS,
    sections=RENAMED_SECTIONS,
    fields=RENAMED_FIELDS,
    reworded=REWORDED,
    added=ADDED,
    dropped=DROPPED,
    reordered=REORDERED,
)
