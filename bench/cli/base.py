"""``bench base``: the entries of a saved classifier's knowledge base, listed, added, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import UserPath, names, numbers
from reaugkd.errors import DataError, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier

SHOWN = 20
"""Rows of a table unless ``--limit`` says otherwise; JSON has all."""

FEW = 12
"""Labels up to which the entries of each are counted in a table."""

OUT = click.option("--out", type=UserPath(), help="Another folder to write; FOLDER stays.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def base() -> None:
    """List, add or remove entries of the knowledge base of a classifier that was saved.

    Student, k, beta and tau stay. The index is built anew, and the old folder stays whole until the
    new one is.

    \b
    Examples:
      bench base list bank-classifier --limit 5
      bench base remove bank-classifier --ids 17,204
      bench base add bank-classifier new.csv --text text --label intent --keys student
    """  # noqa: D301  (click's paragraph mark)


@base.command(name="list")
@click.argument("folder", type=UserPath())
@click.option("--limit", type=click.IntRange(min=1), help=f"Entries.  [default: {SHOWN}; JSON all]")
@click.option("--json", "as_json", is_flag=True, help="JSON: an object with all that is known.")
def list_(folder: Path, limit: int | None, as_json: bool) -> None:
    """Show ids, labels and texts of the entries.

    Texts are in folders that were exported with them.

    \b
    Examples:
      bench base list bank-classifier
      bench base list bank-classifier --json | jq '.entries[] | select(.label == "card_arrival").id'
    """  # noqa: D301  (click's paragraph mark)
    from reaugkd.artifacts.parts import part
    from reaugkd.retrieval import compress, saved
    from reaugkd.retrieval.explanation import label_of
    from reaugkd.retrieval.knowledge_base import KnowledgeBase, checksum

    settings, backend = saved.read_settings(folder)
    place = part(folder, saved.BASE)
    held = KnowledgeBase.load(place)
    texts = saved.read_texts_of(part(folder, saved.TEXTS), checksum(place))
    values = compress.as_numbers(held.values, held.span)
    labels = [label_of(row, tuple(settings["labels"])) for row in values]
    most = len(held) if as_json and limit is None else min(limit or SHOWN, len(held))
    entries = [
        {
            "id": int(held.ids[row]),
            "label": labels[row],
            "probability": float(values[row].max()) if values.shape[1] > 1 else None,
            "rows": 1 if held.counts is None else int(held.counts[row]),
            "text": None if texts is None else texts.get(int(held.ids[row])),
        }
        for row in range(most)
    ]
    facts = {
        "folder": str(folder),
        "size": len(held),
        "k": settings["k"],
        "index": backend,
        "keys": held.manifest.get("keys"),
        "condense": held.manifest.get("condense"),
        "edited": "edited" in held.manifest,
        "texts": texts is not None,
    }
    if as_json:
        from pydantic_core import to_json

        click.echo(to_json({**facts, "entries": entries}, indent=1).decode())
        return
    _show(facts, entries, labels)


def _show(facts: dict[str, Any], entries: list[dict[str, Any]], labels: list[Any]) -> None:
    from collections import Counter

    from bench.cli.console import show
    from bench.report.table import EMPTY, Table

    several, kept = any(entry["rows"] > 1 for entry in entries), facts["texts"]
    rows = []
    for entry in entries:
        sure = entry["probability"]
        cells = [str(entry["id"]), _shown(entry["label"])]
        cells += [" | ".join(entry["text"] or (EMPTY,))] if kept else []
        cells += [EMPTY if sure is None else f"{sure:.3f}"]
        rows.append((*cells, *([str(entry["rows"])] if several else [])))
    words = ("id", "label", *(["text"] if kept else []))
    figures = ("probability", *(["rows"] if several else []))
    note = f"{len(entries):,} of {_entries(facts['size'])}"
    if len(counted := Counter(map(_shown, labels))) <= FEW:
        shares = (f"{count:,} of {label}" for label, count in sorted(counted.items()))
        note = f"{note}: {', '.join(shares)}"
    about = [f"{facts['folder']}: k {facts['k']}", facts["index"]]
    about += [f"{name} {facts[name]}" for name in ("keys", "condense") if facts[name]]
    about += ["edited"] if facts["edited"] else []
    show(Table(", ".join(about), (*words, *figures), (*rows,), len(words), (note,)))


def _shown(label: str | int | float) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)


@base.command()
@click.argument("folder", type=UserPath())
@click.option("--ids", multiple=True, callback=numbers(int), help="e.g. 3,4")
@click.option("--ids-file", type=UserPath(), help="A text file with an id on every line.")
@OUT
def remove(folder: Path, ids: list[int], ids_file: Path | None, out: Path | None) -> None:
    """Remove entries with their keys, values and texts.

    No file of the folder holds them afterwards. What `bench run` keeps in its cache stays, and so
    does the student, which may have learned from them.

    \b
    Examples:
      bench base remove bank-classifier --ids 17,204
      bench base remove bank-classifier --ids-file forgotten.txt --out bank-classifier-2
    """  # noqa: D301  (click's paragraph mark)
    if not ids and ids_file is None:
        raise click.UsageError("say which: --ids 3,4 or --ids-file FILE")
    wanted = [*ids, *(_read_ids(ids_file) if ids_file is not None else ())]
    classifier = _load(folder)
    classifier.remove(wanted)
    classifier.save_pretrained(out or folder)
    click.echo(f"removed {_entries(len(wanted))}: {_left(classifier)} in {out or folder}")


@base.command()
@click.argument("folder", type=UserPath())
@click.argument("file")
@click.option("--text", "text", multiple=True, required=True, callback=names, help="COL[,COL2]")
@click.option("--label", required=True, help="Column of the label.")
@click.option("--id", "identity", help="Column of the ids.  [default: count on from the largest]")
@click.option("--embeddings", type=UserPath(), help="An .npy file [rows, width]: the keys.")
@click.option(
    "--keys", type=click.Choice(["student"]), help="The student's embeddings are the keys."
)
@OUT
def add(
    folder: Path,
    file: str,
    text: list[str],
    label: str,
    identity: str | None,
    embeddings: Path | None,
    keys: str | None,
    out: Path | None,
) -> None:
    """Add rows of FILE as entries: CSV, TSV, JSON lines, Parquet.

    A folder holds no teacher. Where the keys of the base are the student's, the student makes the
    new ones. Where they are a teacher's, give --embeddings made in the same way, as wide as the
    student's, or say --keys student: the student was trained to lie near them.

    \b
    Examples:
      bench base add bank-classifier new.csv --text text --label intent --keys student
      bench base add bank-classifier new.csv --text text --label intent --embeddings new.npy
    """  # noqa: D301  (click's paragraph mark)
    if embeddings is not None and keys is not None:
        raise click.UsageError("--embeddings or --keys, not both")
    if len(text) > 2:
        raise click.UsageError("--text names one column, or two of a pair")
    from reaugkd.tasks import own, sources
    from reaugkd.tasks.delimited import Dialect

    wanted = dict.fromkeys([*text, label, *([identity] if identity else [])])
    columns = sources.read(file, list(wanted), Dialect(), "train")
    texts = list(zip(*(_texts(columns[name], name, file) for name in text), strict=True))
    if not texts:
        raise DataError(f"{file}: no rows")
    labels = own.written(columns[label], label, file)
    ids = _whole(columns[identity], f"{file}, column '{identity}'") if identity else None
    given = keys if embeddings is None else _array(embeddings)
    classifier = _load(folder)
    try:
        numbers = classifier.add(
            [row[0] for row in texts] if len(text) == 1 else texts,
            _values(labels, classifier, file),
            ids=ids,
            keys=given,
        )
    except DataError as error:
        raise DataError(f"{file}: {error} (counted from 0, below the header)") from error
    classifier.save_pretrained(out or folder)
    span = f"id {numbers[0]}" if len(numbers) == 1 else f"ids {numbers.min()} to {numbers.max()}"
    click.echo(f"added {_entries(len(numbers))} ({span}): {_left(classifier)} in {out or folder}")


def _load(folder: Path) -> RetrievalAugmentedClassifier:
    from bench.executors.quiet import quieten
    from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier

    quieten()
    return RetrievalAugmentedClassifier.from_pretrained(folder)


def _entries(number: int) -> str:
    return f"{number:,} entr{'y' if number == 1 else 'ies'}"


def _left(classifier: RetrievalAugmentedClassifier) -> str:
    return _entries(len(classifier.knowledge_base))


def _read_ids(path: Path) -> Iterator[int]:
    """The ids of a text file, one on a line; lines without anything are none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    yield from _whole([line.strip() or None for line in lines], str(path), skip=True)


def _whole(values: list[Any], where: str, *, skip: bool = False) -> list[int]:
    """Whole numbers, of a column or of lines; with ``skip`` None is left out."""
    result = []
    for row, value in enumerate(values, start=1):
        if value is None and skip:
            continue
        try:
            if isinstance(value, float) and not value.is_integer():
                raise ValueError
            result.append(int(value))
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}, row {row}: expected an id, found {value!r}") from error
    return result


def _texts(values: list[Any], column: str, file: str) -> list[str]:
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{file}, row {row}: no text in column '{column}'")
    return values


def _array(path: Path) -> NDArray[np.float32]:
    """The embeddings of an .npy file."""
    import numpy as np

    try:
        array: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no .npy file of embeddings: {error}") from error
    return array


def _values(labels: list[str], classifier: RetrievalAugmentedClassifier, file: str) -> list[Any]:
    """Labels of a file as the classifier takes them: names, or numbers where classes have none."""
    if classifier.labels:
        return [*labels]
    kind = float if classifier.knowledge_base.values.shape[1] == 1 else int
    try:
        return [kind(label) for label in labels]
    except ValueError as error:
        what = "scores" if kind is float else "class ids, as the classes have no names"
        raise DataError(f"{file}: expected {what}: {error}") from error
